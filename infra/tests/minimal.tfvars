# What has to be said: where the configuration is, and the functions' zip. Both have defaults in an installation.
conf    = "tests/conf-minimal"
package = "tests/bootstrap.zip"
