"""A menu over D-Bus, after com.canonical.dbusmenu: the panel asks for entries and reports clicks.

An entry keeps its number as long as its words stay the same, so a click in a menu that has just
changed never does anything else than what the person has read.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Annotated, Any

from dbus_fast import DBusError, ErrorType, PropertyAccess, Variant
from dbus_fast.annotations import (
    DBusBool,
    DBusInt32,
    DBusSignature,
    DBusStr,
    DBusUInt32,
    DBusVariant,
)
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

from antifake.core.i18n import is_from_right

PATH = "/MenuBar"
ROOT = 0

Properties = dict[str, Variant]
Key = tuple[object, ...]
Words = Annotated[list[str], DBusSignature("as")]
Numbers = Annotated[list[int], DBusSignature("ai")]
PropertiesOf = Annotated[list[Any], DBusSignature("a(ia{sv})")]


@dataclass
class Entry:
    """One line of the menu."""

    number: int
    item: Any
    """pystray's MenuItem; None for the root."""
    properties: Properties
    children: list["Entry"] = field(default_factory=list)

    def layout(self, depth: int, names: list[str]) -> list[Any]:
        """Returns it as (ia{sv}av), with so many levels below it; -1: with all."""
        below = self.children if depth else []
        variants = [Variant("(ia{sv}av)", one.layout(depth - 1, names)) for one in below]
        return [self.number, self.chosen(names), variants]

    def chosen(self, names: list[str]) -> Properties:
        """Returns these properties; all, if none is named."""
        if not names:
            return self.properties
        return {name: value for name, value in self.properties.items() if name in names}

    def walk(self) -> Iterator["Entry"]:
        yield self
        for one in self.children:
            yield from one.walk()

    @property
    def shape(self) -> tuple[object, ...]:
        return (self.number, *(one.shape for one in self.children))


class DBusMenu(ServiceInterface):
    """Use it in the thread of the bus only."""

    def __init__(self, icon: Any, menu: Any) -> None:
        """`menu` is pystray's; `icon` is what its entries are called with."""
        super().__init__("com.canonical.dbusmenu")
        self._icon, self._menu = icon, menu
        self._numbers: dict[Key, int] = {}
        self._next = count(ROOT + 1)
        self._revision = 1
        self._root = self._built()
        self._entries = {one.number: one for one in self._root.walk()}

    def update(self) -> bool:
        """Read the menu again, and tell the panel what has changed. Returns whether it has."""
        former, self._root = self._root, self._built()
        self._entries = {one.number: one for one in self._root.walk()}
        if former.shape != self._root.shape:
            self._revision += 1
            self.layout_updated(self._revision, ROOT)
            return True
        old = {one.number: one.properties for one in former.walk()}
        changed = [one for one in self._root.walk() if one.properties != old[one.number]]
        if changed:
            self._revision += 1
            self.items_properties_updated([[one.number, one.properties] for one in changed], [])
        return bool(changed)

    # --- The entries ----------------------------------------------------------------------------

    def _built(self) -> Entry:
        known: dict[Key, int] = {}
        properties = {"children-display": Variant("s", "submenu")}
        root = Entry(ROOT, None, properties, list(self._built_of(self._menu, (), known)))
        self._numbers = known
        return root

    def _built_of(self, menu: Iterable[Any], above: Key, known: dict[Key, int]) -> Iterator[Entry]:
        for place, item in enumerate(menu):
            # A line that cannot be chosen, such as the state, may change its words.
            name = item.text if item.enabled and item.text else place
            key = (*above, name)
            while key in known:
                key = (*key, "again")
            known[key] = self._numbers.get(key) or next(self._next)
            children = list(self._built_of(item.submenu, key, known)) if item.submenu else []
            yield Entry(known[key], item, self._properties(item), children)

    def _properties(self, item: Any) -> Properties:
        if item is self._menu.SEPARATOR:
            return {"type": Variant("s", "separator")}
        # One underscore would underline the letter behind it.
        found = {
            "label": Variant("s", item.text.replace("_", "__")),
            "enabled": Variant("b", bool(item.enabled)),
        }
        if item.checked is not None:
            found["toggle-type"] = Variant("s", "checkmark")
            found["toggle-state"] = Variant("i", int(item.checked))
        if item.submenu:
            found["children-display"] = Variant("s", "submenu")
        return found

    def _entry(self, number: int) -> Entry:
        try:
            return self._entries[number]
        except KeyError:
            raise DBusError(ErrorType.INVALID_ARGS, f"There is no entry {number}.") from None

    def _do(self, number: int, event: str) -> None:
        entry = self._entry(number)
        if event != "clicked" or entry.item is None or entry.children:
            return
        if entry.item.enabled:
            entry.item(self._icon)
            self.update()

    # --- What the panel asks --------------------------------------------------------------------

    @dbus_method("GetLayout")
    def get_layout(
        self, parent: DBusInt32, depth: DBusInt32, names: Words
    ) -> Annotated[tuple[int, Any], DBusSignature("u(ia{sv}av)")]:
        return self._revision, self._entry(parent).layout(depth, names)

    @dbus_method("GetGroupProperties")
    def get_group_properties(self, numbers: Numbers, names: Words) -> PropertiesOf:
        found = [self._entries[one] for one in numbers or self._entries if one in self._entries]
        return [[one.number, one.chosen(names)] for one in found]

    @dbus_method("GetProperty")
    def get_property(self, number: DBusInt32, name: DBusStr) -> DBusVariant:
        try:
            return self._entry(number).properties[name]
        except KeyError:
            raise DBusError(ErrorType.INVALID_ARGS, f"There is no property {name}.") from None

    @dbus_method("Event")
    def event(self, number: DBusInt32, event: DBusStr, _data: DBusVariant, _at: DBusUInt32) -> None:
        self._do(number, event)

    @dbus_method("EventGroup")
    def event_group(self, events: Annotated[list[Any], DBusSignature("a(isvu)")]) -> Numbers:
        unknown = []
        for number, event, _data, _at in events:
            try:
                self._do(number, event)
            except DBusError:
                unknown.append(number)
        return unknown

    @dbus_method("AboutToShow")
    def about_to_show(self, _number: DBusInt32) -> DBusBool:
        return self.update()

    @dbus_method("AboutToShowGroup")
    def about_to_show_group(
        self, numbers: Numbers
    ) -> Annotated[tuple[list[int], list[int]], DBusSignature("aiai")]:
        unknown = [one for one in numbers if one not in self._entries]
        return ([ROOT] if self.update() else []), unknown

    # --- What the panel is told -----------------------------------------------------------------

    @dbus_signal("LayoutUpdated")
    def layout_updated(
        self, revision: int, parent: int
    ) -> Annotated[tuple[int, int], DBusSignature("ui")]:
        return revision, parent

    @dbus_signal("ItemsPropertiesUpdated")
    def items_properties_updated(
        self, updated: list[Any], removed: list[Any]
    ) -> Annotated[tuple[list[Any], list[Any]], DBusSignature("a(ia{sv})a(ias)")]:
        return updated, removed

    @dbus_property(PropertyAccess.READ, "Version")
    def version(self) -> DBusUInt32:
        return 3

    @dbus_property(PropertyAccess.READ, "TextDirection")
    def text_direction(self) -> DBusStr:
        return "rtl" if is_from_right() else "ltr"

    @dbus_property(PropertyAccess.READ, "Status")
    def status(self) -> DBusStr:
        return "normal"

    @dbus_property(PropertyAccess.READ, "IconThemePath")
    def icon_theme_path(self) -> Words:
        return []
