module streamalert/sdk

go 1.25
