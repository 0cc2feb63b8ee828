"""What a component must be contained at; the same words in every language."""


def misbehave(word):
    """Does it, if this is one of the words."""
    if word == "loop":
        while True:
            pass
    elif word == "deep":
        deeper(0)
    elif word == "grow":
        grown = []
        while True:
            grown.append(bytearray(1 << 20))
    elif word == "fail":
        {}["nothing"]


def deeper(depth):
    return deeper(depth + 1) + 1
