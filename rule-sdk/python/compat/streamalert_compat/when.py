"""Which records can a function not report, whatever it does? Those need not be shown to it.

Read off its source: `needed` gives conditions that hold for every record for which the function answers something true.
All is taken for possible that is not understood, so the worst that can come out is no condition. What is understood:

- comparisons with constants, of what lies at a path: `record["a"]["b"] == "x"`, `record.get("a") in NAMES`;
- `startswith` and `endswith`, `and`, `or`, `not`, `any((…))`, `all((…))`;
- `if …: return False`, branches, and names that are given to parts of the record.

A function that fails answers no, so a path that is read by brackets must be there.
"""

import ast
import builtins
import inspect
import linecache
import math
import re

from streamalert_sdk import contains, equals, exists, prefix, suffix  # noqa: F401  named by `_made`
from streamalert_sdk.path import joined

#: The function never answers something true on this way.
NEVER = None

_I64 = range(-(2**63), 2**63)
#: Values of one condition, and characters of one; what is beyond is no condition, but a table.
_VALUES_MAX = 1000
_TEXT_MAX = 1000
#: Statements that are looked at, those after a branch once for each way there; a longer function is left alone.
_STATEMENTS_MAX = 500

#: Methods that change what they are called on.
_CHANGES = {
    "add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "extendleft", "insert",
    "intersection_update", "pop", "popitem", "popleft", "remove", "reverse", "setdefault", "sort", "update",
    "__delitem__", "__setitem__",
}  # fmt: skip
#: Modules whose functions change no record that is handed to them, and all that lies below `streamalert`.
_HARMLESS = {
    "builtins", "fnmatch", "ipaddress", "json", "json.decoder", "json.encoder", "logging", "math", "operator",
    "posixpath", "re", "rules.helpers.base", "helpers.base",
}  # fmt: skip
#: Of Python's own functions, those that do more than answer.
_HARMFUL = {"delattr", "eval", "exec", "setattr", "next", "__import__", "input", "open", "vars", "globals", "locals"}


class _NoConstant(Exception):
    pass


class _Path:
    """Where in the record a value lies."""

    __slots__ = ("default", "keys", "strict")

    def __init__(self, keys=(), strict=True, default=None):
        self.keys = keys
        #: Read by brackets, so it is there or the function fails.
        self.strict = strict
        #: What `get` gives where nothing is there.
        self.default = default


#: A name that holds something else.
_OTHER = object()


def needed(function):
    """Conditions that hold for each record for which the function answers something true, as a list of the SDK's."""
    try:
        found = _Function(function).needed()
    except (AttributeError, OSError, TypeError, SyntaxError, RecursionError, ValueError):
        return []
    return _made(found)


def watch(modules):
    """Values that one of these modules changes are not trusted to stay what they are."""
    for module in modules:
        _changed.update(_changed_names(module))


def _made(found):
    conditions = []
    for (keys, test), values in sorted(found.items()):
        # Top-level keys are always there: the classifier gives absent ones an empty value.
        if test == "exists":
            told = any(others[: len(keys)] == keys and (others, other) != (keys, test) for others, other in found)
            if len(keys) > 1 and not told:
                conditions.append(exists(joined(keys)))
        elif len(values) <= _VALUES_MAX:
            conditions.append(globals()[test](joined(keys), list(values)))
    return conditions


class _Function:
    def __init__(self, function):
        node = _definition(function)
        bound = _bound(function, node)
        function = getattr(function, "__func__", function)
        arguments = _arguments(node)[len(bound) :]
        if not arguments:
            raise TypeError("takes no record")
        self.body = [ast.Return(node.body)] if isinstance(node, ast.Lambda) else node.body
        self.globals = function.__globals__
        self.closure = {**bound, **(inspect.getclosurevars(function).nonlocals if function.__closure__ else {})}
        watch([inspect.getmodule(function)])
        # Further arguments have defaults or are the context: nothing is known of them.
        more = [argument for argument in (node.args.vararg, node.args.kwarg) if argument]
        self.names = {argument.arg: _OTHER for argument in arguments + node.args.kwonlyargs + more}
        self.names[arguments[0].arg] = _Path()
        self.left = _STATEMENTS_MAX

    def needed(self):
        return self.statements(self.body, dict(self.names)) or {}

    def statements(self, body, names):
        """What must hold so that something true is answered from here on; NEVER if it cannot be."""
        found = {}
        for at, statement in enumerate(body):
            self.left -= 1
            if self.left < 0:
                return found
            if isinstance(statement, ast.Return):
                answer = self.answer(statement.value, names)
                return NEVER if answer is NEVER else _both(found, answer)
            if isinstance(statement, ast.Raise):
                return NEVER
            if isinstance(statement, ast.If):
                rest = body[at + 1 :]
                ways = []
                for truth, branch in ((True, statement.body), (False, statement.orelse)):
                    when, harmless = self.holds(statement.test, truth, names)
                    then = self.statements(branch + rest, dict(names)) if harmless else {}
                    ways.append(NEVER if then is NEVER else _both(when, then))
                way = _either(*ways)
                return NEVER if way is NEVER else _both(found, way)
            if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                if not all(isinstance(target, ast.Name) for target in targets):
                    return found
                found = _both(found, self.reads(statement.value, names))
                if not self.harmless(statement.value, names):
                    return found
                value = self.path(statement.value, names) or _OTHER
                for target in targets:
                    names[target.id] = value
            elif isinstance(statement, ast.Expr):
                found = _both(found, self.reads(statement.value, names))
                if not self.harmless(statement.value, names):
                    return found
            elif not isinstance(statement, (ast.Pass, ast.Import, ast.ImportFrom)):
                # Loops, `try`, `with`: who knows.
                return found
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                names.update({(alias.asname or alias.name).split(".")[0]: _OTHER for alias in statement.names})
        # Without `return`, the answer is None.
        return NEVER

    def answer(self, node, names):
        """What must hold so that this expression is true; NEVER if it cannot be."""
        if node is None:
            return NEVER
        try:
            return {} if self.constant(node, names) else NEVER
        except _NoConstant:
            return self.holds(node, True, names)[0]

    def holds(self, node, truth, names):
        """What must hold so that an expression has this truth, and whether looking at it changes nothing."""
        if isinstance(node, ast.BoolOp):
            if isinstance(node.op, ast.And) == truth:
                return self.all(node.values, truth, names)
            return self.any(node.values, truth, names)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self.holds(node.operand, not truth, names)
        harmless = self.harmless(node, names)
        found = self.reads(node, names)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            return _both(found, self.compared(node.left, node.ops[0], node.comparators[0], truth, names)), harmless
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else None
            if (
                name in ("any", "all", "bool")
                and len(node.args) == 1
                and not node.keywords
                and self.is_own(name, names)
            ):
                items = node.args[0]
                if name == "bool":
                    return self.holds(items, truth, names)
                # All items are looked at before the first counts.
                if isinstance(items, (ast.Tuple, ast.List)) and harmless and items.elts:
                    if (name == "all") == truth:
                        return self.all(items.elts, truth, names)
                    return self.any(items.elts, truth, names)
            if truth:
                found = _both(found, self.begun(node, names))
        elif truth:
            path = self.path(node, names)
            # Something is there that counts as true, unless it is the default that does.
            if path is not None and path.keys and not path.default:
                found = _both(found, {(path.keys, "exists"): ()})
        return found, harmless

    def all(self, nodes, truth, names):
        found = {}
        for node in nodes:
            one, harmless = self.holds(node, truth, names)
            found = _both(found, one)
            if not harmless:
                return found, False
        return found, True

    def any(self, nodes, truth, names):
        ways = [self.holds(node, truth, names) for node in nodes]
        if not all(harmless for _, harmless in ways):
            return {}, False
        found = ways[0][0]
        for way, _ in ways[1:]:
            found = _either(found, way)
        return found, True

    def compared(self, left, operator, right, truth, names):
        same = isinstance(operator, ast.Eq if truth else ast.NotEq)
        among = isinstance(operator, ast.In if truth else ast.NotIn)
        if truth and isinstance(operator, ast.Is) and isinstance(right, ast.Constant) and isinstance(right.value, bool):
            path = self.path(left, names)
            return (
                {(path.keys, "equals"): (right.value,)} if path is not None and path.default is not right.value else {}
            )
        if not (same or among):
            return {}
        path = self.path(left, names)
        if path is None and same:
            path, right = self.path(right, names), left
        if path is None or not path.keys:
            return {}
        try:
            value = self.constant(right, names)
        except _NoConstant:
            return {}
        if among and not isinstance(value, (tuple, list, set, frozenset, dict)):
            return {}
        values = list(value) if among else [value]
        if not path.strict and any(path.default == value for value in values):
            return {}
        try:
            told = _once(one for value in values for one in _alike(value))
        except _NoConstant:
            return {}
        return {(path.keys, "equals"): told} if told else {}

    def begun(self, node, names):
        """`….startswith(…)`, `….endswith(…)`."""
        if not isinstance(node.func, ast.Attribute) or len(node.args) != 1 or node.keywords:
            return {}
        test = {"startswith": "prefix", "endswith": "suffix"}.get(node.func.attr)
        path = self.path(node.func.value, names) if test else None
        if path is None or not path.keys:
            return {}
        try:
            texts = self.constant(node.args[0], names)
        except _NoConstant:
            return {}
        texts = (texts,) if isinstance(texts, str) else texts
        if not isinstance(texts, tuple) or not texts or not all(_is_text(text) and text for text in texts):
            return {}
        if isinstance(path.default, str) and getattr(path.default, node.func.attr)(texts):
            return {}
        return {(path.keys, test): _once(texts)}

    def reads(self, node, names):
        """What must be there, since it is read by brackets whatever comes of the rest."""
        found = {}
        # What is looked at under a condition only is left out.
        if isinstance(node, (ast.BoolOp, ast.IfExp)):
            return self.reads(node.values[0] if isinstance(node, ast.BoolOp) else node.test, names)
        if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.NamedExpr)):
            return found
        path = self.path(node, names)
        if path is not None:
            keys = path.keys if path.strict else self.strict_part(node, names)
            return {(keys, "exists"): ()} if keys else {}
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.expr):
                found = _both(found, self.reads(inner, names))
            # `a < b < c` may stop early.
            if isinstance(node, ast.Compare) and len(node.ops) > 1:
                break
        return found

    def strict_part(self, node, names):
        """Of `record["a"].get("b")`, `a`."""
        while isinstance(node, ast.Call):
            node = node.func.value
            path = self.path(node, names)
            if path is None:
                return ()
            if path.strict:
                return path.keys
        return ()

    def path(self, node, names):
        """Where a value lies, if it is a part of the record."""
        if isinstance(node, ast.Name):
            found = names.get(node.id)
            return found if isinstance(found, _Path) else None
        if isinstance(node, ast.Subscript):
            above = self.path(node.value, names)
            key = node.slice.value if isinstance(node.slice, ast.Constant) else None
            if above is None or not _is_key(key) or not self.leads_on(above):
                return None
            return _Path((*above.keys, key), strict=True)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            above = self.path(node.func.value, names)
            if above is None or node.keywords or not 1 <= len(node.args) <= 2 or not self.leads_on(above):
                return None
            key = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
            if not _is_key(key):
                return None
            try:
                default = self.constant(node.args[1], names) if len(node.args) == 2 else None
            except _NoConstant:
                return None
            return _Path((*above.keys, key), strict=False, default=default)
        return None

    @staticmethod
    def leads_on(path):
        """Whether what lies below can only come from the record: the default has nothing in it, or cannot be looked
        into."""
        return path.strict or not path.default or not isinstance(path.default, (dict, str, list, tuple))

    def constant(self, node, names):
        """The value of an expression in which nothing of the record is."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            items = [self.constant(item, names) for item in node.elts]
            try:
                return (
                    set(items) if isinstance(node, ast.Set) else tuple(items) if isinstance(node, ast.Tuple) else items
                )
            except TypeError:
                raise _NoConstant from None
        if isinstance(node, ast.Dict) and not node.keys:
            return {}
        if isinstance(node, (ast.JoinedStr, ast.BinOp)):
            return self.joined_text(node, names)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self.constant(node.operand, names)
            if isinstance(value, (int, float)):
                return -value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1 and not node.keywords:
            made = {"set": set, "frozenset": frozenset, "tuple": tuple, "list": list}.get(node.func.id)
            if made and self.is_own(node.func.id, names):
                value = self.constant(node.args[0], names)
                if isinstance(value, (set, frozenset, tuple, list)):
                    return made(value)
        if isinstance(node, ast.Name) and node.id not in names:
            return self.trusted(node.id, self.lookup(node.id))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id not in names:
            of = self.lookup(node.value.id)
            if inspect.isclass(of) or inspect.ismodule(of):
                watch([of if inspect.ismodule(of) else inspect.getmodule(of)])
                return self.trusted(node.attr, inspect.getattr_static(of, node.attr, _OTHER))
        raise _NoConstant

    def joined_text(self, node, names):
        """`"a" + B`, `f"a{B}"`."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            parts = [self.constant(part, names) for part in (node.left, node.right)]
        elif isinstance(node, ast.JoinedStr):
            inner = [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values]
            if any(
                isinstance(part, ast.FormattedValue) and (part.format_spec or part.conversion != -1)
                for part in node.values
            ):
                raise _NoConstant
            parts = [self.constant(part, names) for part in inner]
        else:
            raise _NoConstant
        if not all(isinstance(part, str) for part in parts):
            raise _NoConstant
        return "".join(parts)

    def lookup(self, name):
        if name in self.closure:
            return self.closure[name]
        return self.globals.get(name, getattr(builtins, name, _OTHER))

    def is_own(self, name, names):
        """Whether a name still means what Python means by it."""
        return name not in names and self.lookup(name) is getattr(builtins, name)

    @staticmethod
    def trusted(name, value):
        """A value that stays what it is."""
        kinds = (str, int, float, frozenset, tuple, set, list, dict)
        if (value is None or isinstance(value, kinds)) and name not in _changed:
            return value
        raise _NoConstant

    def harmless(self, node, names):
        """Whether looking at an expression leaves the record as it is."""
        inside = [inner for inner in ast.walk(node)]
        if any(isinstance(inner, (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)) for inner in inside):
            return False
        # What a comprehension goes through may be parts of the record.
        stored = {inner.id for inner in inside if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)}
        stored |= {argument.arg for inner in inside if isinstance(inner, ast.Lambda) for argument in inner.args.args}
        local = names.keys() | stored
        return all(self.harmless_call(inner, local) for inner in inside if isinstance(inner, ast.Call))

    def harmless_call(self, call, local):
        function = call.func
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        hands_over = any(
            isinstance(inner, ast.Name) and inner.id in local for value in given for inner in ast.walk(value)
        )
        if isinstance(function, ast.Attribute):
            base = function.value.id if isinstance(function.value, ast.Name) else None
            if function.attr in _CHANGES:
                return False
            if base is None or base in local:
                return not hands_over
            of = self.lookup(base)
            if isinstance(of, re.Pattern):
                return True
            called = getattr(of, function.attr, _OTHER)
        elif isinstance(function, ast.Name) and function.id not in local:
            called = self.lookup(function.id)
        else:
            return False
        if not hands_over:
            return True
        name, module = getattr(called, "__name__", ""), getattr(called, "__module__", None) or ""
        if module == "builtins":
            return name not in _HARMFUL
        return module in _HARMLESS or module.partition(".")[0] == "streamalert"


#: Functions that hand the record on to others are followed so far.
_DEPTH_MAX = 4


def changes_record(function, argument=0, depth=0):
    """Whether the function, or one of the repository's that it hands the record to, writes into it, as far as sources
    tell."""
    try:
        node = _definition(function)
        record = _arguments(node)[len(_bound(function, node)) + argument].arg
        names = getattr(function, "__func__", function).__globals__
    except (AttributeError, IndexError, OSError, TypeError, SyntaxError, ValueError):
        return False

    def root(part):
        while isinstance(part, (ast.Subscript, ast.Attribute)):
            part = part.value
        return isinstance(part, ast.Name) and part.id == record

    for inner in ast.walk(node):
        targets = ()
        if isinstance(inner, (ast.Assign, ast.Delete)):
            targets = inner.targets
        elif isinstance(inner, (ast.AugAssign, ast.AnnAssign)):
            targets = (inner.target,)
        if any(isinstance(target, ast.Subscript) and root(target) for target in targets):
            return True
        if not isinstance(inner, ast.Call):
            continue
        if isinstance(inner.func, ast.Attribute) and inner.func.attr in _CHANGES and root(inner.func.value):
            return True
        called = names.get(inner.func.id) if isinstance(inner.func, ast.Name) else None
        if inspect.isfunction(called) and depth < _DEPTH_MAX:
            handed = [at for at, value in enumerate(inner.args) if isinstance(value, ast.Name) and value.id == record]
            if any(changes_record(called, at, depth + 1) for at in handed):
                return True
    return False


def asks_only_for(function, datatypes):
    """Whether the function looks at nothing of a record but its values of these normalized names: then a record that
    has none of them is to it like any other such record."""
    try:
        this = _Function(function)
        node = _definition(function)
    except (AttributeError, OSError, TypeError, SyntaxError, ValueError):
        return False
    record = _arguments(node)[0].arg
    # Names that go through names of datatypes.
    loops = {}
    for inner in ast.walk(node):
        if isinstance(inner, (ast.For, ast.comprehension)) and isinstance(inner.target, ast.Name):
            try:
                values = this.constant(inner.iter, this.names)
            except _NoConstant:
                values = None
            loops.setdefault(inner.target.id, []).append(values)
    stored = [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)]

    def is_datatype(value):
        if isinstance(value, ast.Constant):
            return value.value in datatypes
        through = loops.get(value.id, []) if isinstance(value, ast.Name) else []
        if not through or stored.count(value.id) != len(through):
            return False
        return all(
            isinstance(names, (list, tuple, set, frozenset)) and set(names) <= set(datatypes) for names in through
        )

    asked = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and len(inner.args) == 2:
            if inner.func.attr == "get_values_for_normalized_type" and isinstance(inner.args[0], ast.Name):
                if is_datatype(inner.args[1]):
                    asked.add(id(inner.args[0]))
    uses = [inner for inner in ast.walk(node) if isinstance(inner, ast.Name) and inner.id == record]
    return bool(uses) and all(id(use) in asked for use in uses)


def _arguments(node):
    return node.args.posonlyargs + node.args.args


def _bound(function, node):
    """What a method is bound to, by the name it has for it."""
    if not inspect.ismethod(function):
        return {}
    return {argument.arg: function.__self__ for argument in _arguments(node)[:1]}


def _definition(function):
    """The syntax tree of a function or lambda, out of that of its whole file: what `inspect` cuts out of it may be half
    of one."""
    if hasattr(function, "__wrapped__"):
        raise TypeError("is more than its source says")
    code = function.__code__
    kind = ast.Lambda if code.co_name == "<lambda>" else ast.FunctionDef
    here = [
        node for node in ast.walk(_tree(code)) if isinstance(node, kind) and _first_line(node) == code.co_firstlineno
    ]
    if len(here) != 1 or (kind is ast.FunctionDef and here[0].name != code.co_name):
        raise TypeError("not found, or more than one in its line")
    for inner in ast.walk(here[0]):
        if isinstance(inner, (ast.Yield, ast.YieldFrom, ast.Global, ast.Nonlocal)):
            raise TypeError("no plain function")
    return here[0]


_trees = {}


def _tree(code):
    if code.co_filename not in _trees:
        _trees[code.co_filename] = ast.parse("".join(inspect.findsource(code)[0]))
    return _trees[code.co_filename]


def _first_line(node):
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])


def forget_sources():
    """When all is read: sources and trees are not needed later."""
    _trees.clear()
    linecache.clearcache()


#: Names of values that some module changes after it has made them, as far as sources tell.
_changed = set()
_looked_at = set()


def _changed_names(module):
    if module is None or module.__name__ in _looked_at:
        return
    _looked_at.add(module.__name__)
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return

    def named(node):
        while isinstance(node, ast.Subscript):
            node = node.value
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr

    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
            yield from named(node.func.value)
        elif isinstance(node, ast.AugAssign):
            yield from named(node.target)
        elif isinstance(node, ast.Global):
            yield from node.names
        elif isinstance(node, (ast.Assign, ast.Delete)):
            for target in node.targets:
                if isinstance(target, (ast.Subscript, ast.Attribute)):
                    yield from named(target)


def _once(values):
    """Each value once; 1 and True are two."""
    return tuple(dict((repr(value), value) for value in sorted(values, key=repr)).values())


def _alike(value):
    """A constant, and what else Python takes for equal to it."""
    if isinstance(value, bool):
        return (value, int(value))
    if isinstance(value, int) and value in _I64:
        return (value, bool(value)) if value in (0, 1) else (value,)
    if isinstance(value, float) and math.isfinite(value):
        return (value, bool(value)) if value in (0, 1) else (value,)
    if _is_text(value):
        return (value,)
    raise _NoConstant


def _is_text(value):
    """A text that a log can hold, and a condition."""
    return isinstance(value, str) and len(value) <= _TEXT_MAX and not any("\ud800" <= one <= "\udfff" for one in value)


def _is_key(value):
    return _is_text(value) and value != ""


def _both(one, other):
    """All of both must hold."""
    found = dict(one)
    for key, values in other.items():
        # Of two about the same, the narrower says enough.
        if key not in found or len(values) < len(found[key]):
            found[key] = values
    return found


def _either(one, other):
    """What holds either way."""
    if one is NEVER:
        return other
    if other is NEVER:
        return one
    found = {}
    for (keys, test), values in one.items():
        if (keys, test) in other:
            found[keys, test] = _once((*values, *other[keys, test]))
    there = [{keys for keys, _ in way} for way in (one, other)]
    for keys in there[0] & there[1]:
        if not any(others == keys for others, _ in found):
            found[keys, "exists"] = ()
    return found
