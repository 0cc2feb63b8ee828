"""What came with StreamAlert; the host has it itself."""
from streamalert.shared.publisher import Register


@Register
def add_record(alert, publication):
    publication["record"] = alert.record
    return publication
