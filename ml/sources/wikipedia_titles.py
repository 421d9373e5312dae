"""Page titles of Wikimedia's projects: which are articles, and what a name says."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z-]+)?")
# Of the larger editions; `-` stands for pages whose title is not known.
_NAMESPACES = frozenset({
    "book", "category", "draft", "file", "help", "media", "mediawiki", "module", "portal",
    "special", "talk", "template", "user", "wikipedia", "wikiproject", "wp", "user_talk",
    "wikipedia_talk", "file_talk", "template_talk", "category_talk", "portal_talk", "spezial",
    "datei", "kategorie", "hilfe", "benutzer", "benutzerin", "vorlage", "diskussion",
    "especial", "archivo", "usuario", "ayuda", "categoría", "plantilla", "anexo",
    "wikiproyecto", "spécial", "fichier", "catégorie", "aide", "portail", "utilisateur",
    "modèle", "wikipédia", "projet", "discussion", "speciale", "aiuto", "categoria", "utente",
    "progetto", "portale", "ficheiro", "ajuda", "usuário", "predefinição", "speciaal",
    "bestand", "gebruiker", "служебная", "файл", "категория", "участник", "википедия", "портал",
    "обсуждение", "шаблон", "विशेष", "चित्र", "श्रेणी", "सदस्य", "विकिपीडिया", "साँचा", "特別",
    "特別ページ", "ファイル", "利用者", "カテゴリ", "ウィキペディア",
})  # fmt: skip
_MAIN_PAGES = frozenset({
    "-", "Main_Page", "Hauptseite", "Portada", "Accueil", "Pagina_principale", "Hoofdpagina",
    "Página_principal", "Заглавная_страница", "मुखपृष्ठ", "メインページ", "首页", "undefined",
})  # fmt: skip


def is_meta(title: str) -> bool:
    """Whether a page is no article: a main page, or in another namespace.

    No space follows the colon of a namespace, as it does in `Star_Trek:_Picard`.
    """
    space, colon, rest = title.partition(":")
    in_space = bool(colon) and not rest.startswith("_") and space.casefold() in _NAMESPACES
    return in_space or title in _MAIN_PAGES


def described(project: str, title: str) -> dict[str, Any]:
    """What is known of a page by its name."""
    language = project.partition(".")[0]
    return {
        "title": title.replace("_", " "),
        "url": f"https://{project}.org/wiki/{quote(title)}",
        "project": project,
        "language": language if _LANGUAGE.fullmatch(language) else None,
    }
