//! Records and alerts as Parquet files: one folder for each table, one within it for each hour, as Athena reads them.
