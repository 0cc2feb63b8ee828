include ../streamalert.mk
