"""Stores for tests: in memory, which has conditional writes, and with a test's word in each call."""

from dataclasses import replace
from datetime import timedelta

from obstore.store import MemoryStore

from lightfm_retriever.remote.errors import StoreError
from lightfm_retriever.remote.location import StoreUrl
from lightfm_retriever.remote.store import Store

# Without what is made of others, or asks nothing.
_CALLS = {name for name in vars(Store) if name[0] != "_"} - {"exists", "where"}


class MadeUp(Store):
    """A store in memory; `before` is called with each call's name and key, and may raise or do things.

    Attributes:
        calls: names and keys, in order.
        ages: how much older the objects below a prefix are than they are.
    """

    def __init__(self):
        self.location = StoreUrl("s3", "bucket", "prefix")
        self._store = self._patient = MemoryStore()
        self.calls = []
        self.ages = {}
        self.before = lambda *_: None

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        if name not in _CALLS:
            return found

        def call(key, *arguments, **options):
            self.calls.append((name, key))
            self.before(name, key)
            return found(key, *arguments, **options)

        return call

    def facts(self, key):
        return self._aged(key, super().facts(key))

    def objects(self, prefix):
        return {key: self._aged(key, facts) for key, facts in super().objects(prefix).items()}

    def _aged(self, key, facts):
        age = next((age for prefix, age in self.ages.items() if key.startswith(prefix)), timedelta())
        return replace(facts, modified_at=facts.modified_at - age)

    def keys(self, prefix=""):
        return sorted(Store.objects(self, prefix))

    def put(self, key, data):
        Store.write(self, key, data)

    def content(self, key):
        return Store.read(self, key, at_most=1 << 24)[0]

    def text(self, key):
        return self.content(key).decode()


def spoilt(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def once(wanted, call):
    """For `before`: call when this is asked for first, named "name key's end"."""
    done = []

    def before(name, key):
        method, _, end = wanted.partition(" ")
        if not done and name == method and str(key).endswith(end):
            done.append(key)
            call()

    return before


def refusing(method="", part="", *, error=StoreError, text="away"):
    """For `before`: fail all calls of this name, of keys with this part."""

    def before(name, key):
        if method in ("", name) and part in str(key):
            raise error(str(key), text)

    return before
