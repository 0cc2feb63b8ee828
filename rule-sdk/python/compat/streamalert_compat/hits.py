"""What the host knows of a record's values, in the form in which StreamAlert's rules found it."""

KEY = "streamalert:ioc"


def as_sets(record):
    """`{"ip": [{"value": "192.0.2.1", "source": …}]}` becomes `{"ip": {"192.0.2.1"}}`; who said so, rules were never told."""
    hits = record.get(KEY)
    if isinstance(hits, dict):
        record[KEY] = {name: {hit["value"] for hit in found} for name, found in hits.items()}
    return record
