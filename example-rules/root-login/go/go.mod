module root-login

go 1.25

require streamalert/sdk v0.0.0

replace streamalert/sdk => ../../../rule-sdk/go
