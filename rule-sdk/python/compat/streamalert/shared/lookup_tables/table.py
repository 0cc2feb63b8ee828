from streamalert.shared.lookup_tables.core import LookupTable  # noqa: F401
