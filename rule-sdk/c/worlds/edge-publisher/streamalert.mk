SA_WORLD := publisher
include ../../streamalert.mk
