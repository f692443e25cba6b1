"""Numbers and texts in each language."""

import pytest

from headtohead.report.language import NBSP, Language, language, written_in
from headtohead.report.sources import with_sources
from headtohead.report.templates import environment

EN, RU = language("en"), language("ru")


@pytest.mark.parametrize(
    ("write", "value", "english", "russian"),
    [
        (Language.percent, 0.8864, "88.6 %", "88,6 %"),
        (Language.percent, 1.0, "100 %", "100 %"),
        (Language.percent, 0.9996, "100 %", "100 %"),
        (Language.points, -0.05, "-5.0", "-5,0"),
        (Language.points, 0.05, "+5.0", "+5,0"),
        (Language.points, -0.0001, "0.0", "0,0"),
        (Language.gap, -0.185, "18.5", "18,5"),
        (Language.score, 0.5, "0.50", "0,50"),
        (Language.level, 0.95, "95 %", "95 %"),
        (Language.whole, 137460, "137,460", f"137{NBSP}460"),
        (Language.significant, 137460, "137,000", f"137{NBSP}000"),
        (Language.significant, 0, "0", "0"),
        (Language.significant, -0.00004, "-4e-05", "-4e-05"),
        (Language.large, 5_526_346, "5.53 M", "5,53 млн"),
        (Language.large, 2.51e9, "2.51 bn", "2,51 млрд"),
        (Language.large, 94, "94", "94"),
        (Language.p_value, 2e-9, "p < 0.001", "p < 0,001"),
        (Language.p_value, 0.031, "p = 0.031", "p = 0,031"),
        (Language.seconds, 0.0563, "56.3 ms", "56,3 мс"),
        (Language.seconds, 9.41, "9.4 s", "9,4 с"),
        (Language.seconds, 94.1, "94.1 s", "94,1 с"),
        (Language.seconds, 1218, "20.3 min", "20,3 мин"),
        (Language.seconds, 9000, "2.5 h", "2,5 ч"),
        (Language.megabytes, 129.3, "129 MB", "129 МБ"),
    ],
)
def test_numbers(write, value: float, english: str, russian: str) -> None:  # type: ignore[no-untyped-def]
    spaced = [write(one, value).replace(f"{NBSP}%", " %") for one in (EN, RU)]
    for unit in ("ms", "s", "min", "h", "MB", "M", "bn", "мс", "с", "мин", "ч", "МБ", "млн", "млрд"):
        spaced = [
            text.replace(f"{NBSP}{unit}", f" {unit}") if text.endswith(f"{NBSP}{unit}") else text for text in spaced
        ]
    assert spaced == [english, russian]


def rendered(source: str, output: str, *languages: str, **values: object) -> str:
    with written_in(*languages):
        return environment(output).from_string(source).render(**values)  # type: ignore[arg-type]


def test_a_page_in_both_languages_has_each_text_twice_and_equal_ones_once() -> None:
    text = rendered("{{ _('accuracy') }}|{{ _('linear probe') }}", "html", "en", "ru")
    assert text == '<span lang="en">accuracy</span><span lang="ru">точность</span>|linear probe'


def test_marks_are_tags_in_html_marks_in_markdown_and_nothing_on_the_terminal() -> None:
    source = "{% trans p=0.5|percent %}**bold** `code` {{ p }}{% endtrans %}"
    assert rendered(source, "html", "en") == f"<strong>bold</strong> <code>code</code> 50.0{NBSP}%"
    assert rendered(source, "markdown", "en") == f"**bold** `code` 50.0{NBSP}%"
    assert rendered(source, "terminal", "en") == f"bold code 50.0{NBSP}%"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("html", '<bdi class="name">&lt;script&gt;|*a*_b `c`\\x1b</bdi>'),
        ("markdown", r"&lt;script&gt;\|\*a\*\_b \`c\`\\x1b"),
        ("terminal", r"<script>|*a*_b `c`\x1b"),
    ],
)
def test_names_are_escaped(output: str, expected: str) -> None:
    assert rendered("{{ x|name }}", output, "en", x="<script>|*a*_b `c`\x1b") == expected


def test_marks_within_a_name_stay_text() -> None:
    text = rendered("{% trans x=x|name %}is {{ x }}{% endtrans %}", "html", "en", x="**a** `b` %(c)s")
    assert text == 'is <bdi class="name">**a** `b` %(c)s</bdi>'


def test_a_number_in_html_carries_its_source() -> None:
    r = with_sources({"a/b c": {"mean": 0.5}}, "comparison.json")
    text = rendered("{{ r['a/b c'].mean|percent }}", "html", "en", r=r)
    assert text == f'<span data-source="comparison.json#/a~1b%20c/mean">50.0{NBSP}%</span>'


def test_an_attribute_has_a_text_for_each_language() -> None:
    source = '{% macro alt() %}{% trans %}small CNN{% endtrans %}{% endmacro %}<i {{ attribute("alt", alt) }}>'
    assert rendered(source, "html", "en", "ru") == '<i alt="small CNN" data-ru-alt="простая CNN">'
