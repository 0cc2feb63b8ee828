"""Values by what they mean. The host finds them, under the key they always had."""


class Normalizer:
    NORMALIZATION_KEY = "streamalert_normalization"

    @classmethod
    def get_values_for_normalized_type(cls, record, datatype):
        """The set of all values of this name; None when there is none."""
        found = record.get(cls.NORMALIZATION_KEY, {}).get(datatype)
        if not found:
            return None
        return {value for entry in found for value in entry.get("values", ())}
