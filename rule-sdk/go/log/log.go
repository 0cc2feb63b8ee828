// Package log writes lines for whoever runs the pipeline. The host adds the plugin's name and the rule's, cuts long lines and
// drops what is too many.
//
// In tests they go to standard error.
package log

import "streamalert/sdk/internal/host"

func Debug(message string) { host.Log(host.Debug, message) }

func Info(message string) { host.Log(host.Info, message) }

func Warn(message string) { host.Log(host.Warn, message) }

func Error(message string) { host.Log(host.Error, message) }
