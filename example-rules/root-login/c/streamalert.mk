include ../../../rule-sdk/c/streamalert.mk
