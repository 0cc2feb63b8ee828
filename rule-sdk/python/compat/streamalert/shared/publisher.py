"""Declaring a publisher, as StreamAlert 3 had it."""

from abc import abstractmethod
from copy import deepcopy
from inspect import isclass


class PublisherError(Exception):
    pass


class PublisherRegistrationError(PublisherError):
    pass


class PublisherAssemblyError(PublisherError):
    pass


class AlertPublisher:
    @abstractmethod
    def publish(self, alert, publication):
        """The publication after this publisher."""


class WrappedFunctionPublisher(AlertPublisher):
    def __init__(self, function):
        self._function = function

    def publish(self, alert, publication):
        return self._function(alert, publication)


class CompositePublisher(AlertPublisher):
    """One publisher after the other, each with a copy of what the last one left."""

    def __init__(self, publishers):
        self._publishers = publishers

    def publish(self, alert, publication):
        for publisher in self._publishers:
            publication = publisher.publish(alert, deepcopy(publication))
        return publication


class AlertPublisherRepository:
    _publishers = {}

    @staticmethod
    def is_valid_publisher(thing):
        return issubclass(thing, AlertPublisher) if isclass(thing) else callable(thing)

    @staticmethod
    def get_publisher_name(class_or_function):
        return f"{class_or_function.__module__}.{class_or_function.__name__}"

    @classmethod
    def register_publisher(cls, publisher):
        if not cls.is_valid_publisher(publisher):
            raise PublisherRegistrationError(
                f"Could not register publisher {publisher}; Not callable nor subclass of AlertPublisher"
            )
        name = cls.get_publisher_name(publisher)
        if name in cls._publishers:
            raise PublisherRegistrationError(f"Publisher with name [{name}] has already been registered.")
        cls._publishers[name] = publisher() if isclass(publisher) else WrappedFunctionPublisher(publisher)

    @classmethod
    def import_publishers(cls):
        """All of them are imported when the component is built."""

    @classmethod
    def has_publisher(cls, name):
        return name in cls._publishers

    @classmethod
    def get_publisher(cls, name):
        return cls._publishers.get(name)

    @classmethod
    def all_publishers(cls):
        return cls._publishers

    @classmethod
    def create_composite_publisher(cls, publisher_names):
        found = [cls._publishers[name] for name in publisher_names or () if name in cls._publishers]
        return CompositePublisher(found) if found else DefaultPublisher()


def Register(class_or_function):  # noqa: N802  the name is StreamAlert's
    AlertPublisherRepository.register_publisher(class_or_function)
    return class_or_function


@Register
class DefaultPublisher(AlertPublisher):
    def publish(self, alert, publication):
        return alert.output_dict()
