"""Recognise the usual names of columns in public datasets and exports of shops."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# Names in lower case, without spaces and punctuation, in two ranks. A name of the second rank counts
# only if the file has none of the first.
_NAMES: Mapping[str, tuple[str, str]] = {
    "user_id": (
        """userid uid visitorid reviewerid customerid customernumber memberid accountid clientid
        listenerid playerid householdid householdkey shopperid subscriberid readerid usermboxsha1
        steamid""",
        "user visitor reviewer customer member account client listener player household username",
    ),
    "item_id": (
        """itemid iid movieid filmid asin artistid isbn bookid stockcode productid productcode articleid
        sku songid trackid gameid appid businessid animeid recipeid newsid contentid videoid showid
        hotelid placeid venueid poiid musicbrainzartistid courseid beerid""",
        """item movie film artist book product article song track game parentasin business anime recipe
        video""",
    ),
    "weight": (
        "rating bookrating overall stars quantity qty plays playcount listencount playtime",
        "score ratings count",
    ),
    "timestamp": (
        """unixreviewtime ts invoicedate eventtime eventtimestamp datetime ratingtimestamp unixtime
        timestampms createdat orderdate purchasedate tdat""",
        "time date reviewtime createdtime",
    ),
    "event": ("eventtype behaviour behavior interactiontype", "action"),
    "title": (
        "movietitle booktitle productname itemname gamename artistname songname trackname",
        "name description movie",
    ),
}
_ALSO_OWN: Mapping[str, str] = {"item_id": "id", "user_id": "id"}
# RecBole writes the types of columns so.
_TYPE = re.compile(":(token|float)(_seq)?$")
_AROUND = " \t\r\n\v\f\xa0\u200b\u2060\ufeff\"'"


def plain(name: str) -> str:
    """Return a name without case, spaces and punctuation; "" for a name with space around it.

    A type behind a colon, such as in "user_id:token", doesn't count.
    """
    name = _TYPE.sub("", name)
    return re.sub(r"[\W_]+", "", name).lower() if name == name.strip(_AROUND) else ""


def recognised(name: str, found: Sequence[str], *, in_table: bool) -> list[str]:
    """Return the columns that may be meant by one of this project's names.

    Args:
        name: "user_id", "item_id", "weight", "timestamp", "event" or "title".
        found: the columns of a file.
        in_table: whether the file has a row for each item or user, whose id may be called "id".

    Returns:
        One column if it is clear, several if it isn't, and none if none has a usual name.
    """
    ranks = [{plain(name)}, *(set(rank.split()) for rank in _NAMES.get(name, ()))]
    if in_table and name in _ALSO_OWN:
        ranks.append({_ALSO_OWN[name]})
    for rank in ranks:
        if matching := [own for own in found if plain(own) in rank]:
            return matching
    return []
