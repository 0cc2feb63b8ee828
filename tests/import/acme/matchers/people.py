"""Whose records a rule looks at."""


class People:
    STAFF = {"guard", "porter"}

    @classmethod
    def is_staff(cls, rec):
        return rec["user"]["role"] in cls.STAFF


def is_odd(rec):
    return len(rec["door"]) % 2 == 1
