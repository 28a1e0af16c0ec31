import pytest

from ragstone.text.language import detect_language
from ragstone.text.words import words


def test_words_are_folded_and_keep_inner_apostrophes_and_repeats() -> None:
    assert words("Don\u2019t STOP, don't: Stra\u00dfe!") == ["don't", "stop", "don't", "strasse"]


def test_scripts_without_spaces_give_a_word_for_each_character() -> None:
    assert words("東京 Tower") == ["東", "京", "tower"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The quick brown fox jumps over the lazy dog and it is not with that.", "en"),
        ("Der Hund und die Katze sind nicht mit dem Auto auf das Feld gefahren.", "de"),
        ("Le chat est dans la maison et les enfants sont avec une amie pour jouer.", "fr"),
        ("El perro y los gatos no est\u00e1n en la casa, pero el ni\u00f1o est\u00e1 con su madre.", "es"),
        ("東京は日本の首都であり、とても大きいです。", "ja"),
        ("北京是中国的首都", "zh"),
        ("Москва столица России", "ru"),
        ("x = 1; y = 2", None),
        ("", None),
    ],
)
def test_languages_are_told_by_script_or_common_words(text: str, language: str | None) -> None:
    assert detect_language(text) == language
