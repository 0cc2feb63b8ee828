SA_WORLD := parser
include ../../streamalert.mk
