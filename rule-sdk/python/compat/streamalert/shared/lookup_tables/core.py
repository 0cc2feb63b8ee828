"""The operator's tables."""

from streamalert_compat import host


class LookupTables:
    @classmethod
    def get_instance(cls, config=None, reset=False):
        return cls

    @classmethod
    def table(cls, table_name):
        return LookupTable(table_name)

    get_table = table

    @classmethod
    def get(cls, table_name, key, default=None):
        """What is stored under `key`; the default when the table has no such key, or there is no such table."""
        return host.lookup(table_name, key, default)


class LookupTable:
    def __init__(self, table_name):
        self.table_name = table_name

    def get(self, key, default=None):
        return host.lookup(self.table_name, key, default)
