import json
from collections.abc import Callable
from pathlib import Path

import pytest

from minbert.errors import DataError
from minbert.text.readers import JsonLines, Separated, read
from minbert.text.sniff import TaskGuess, sniff, sniff_format

Write = Callable[..., Path]
STORY = "the old cat sat on a warm mat while two dogs ran over every green hill behind my house"
WORDS = STORY.split()


def sentence(seed: int, words: int = 7) -> str:
    """A sentence that differs from that of any other seed."""
    return " ".join(WORDS[(seed * 7 + place * (seed % 5 + 1)) % len(WORDS)] for place in range(words)) + f" {seed}"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes rows under a header line."""

    def written(name: str, head: str, rows: list[str], encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes("\n".join([head, *rows, ""]).encode(encoding))
        return path

    return written


def has(guess: TaskGuess, *parts: str) -> bool:
    """Whether some remark holds all these parts."""
    return any(all(part in remark for part in parts) for remark in guess.remarks)


class TestKinds:
    def test_classes_of_words(self, write: Write) -> None:
        rows = [f"{i},{sentence(i)},{['billing', 'login', 'other'][i % 3]}" for i in range(60)]
        guess = sniff(write("tickets.csv", "id,body,category", rows))
        assert (guess.name, guess.kind, guess.text, guess.label) == ("tickets", "classes", ("body",), "category")
        assert (guess.range, guess.format, guess.remarks) == (None, None, ())

    def test_classes_that_may_be_slips_of_the_pen(self, write: Write) -> None:
        odd = {20: "Billing", 30: "biling"}
        rows = [f"{sentence(i)},{odd.get(i, ['billing', 'login', 'other'][i % 3])}" for i in range(60)]
        guess = sniff(write("tickets.csv", "body,category", rows))
        assert has(guess, "'billing' and 'Billing'", "write them alike") and has(guess, "'Billing', 'biling' once only")

    @pytest.mark.parametrize("values", [("0", "1"), ("0.0", "1.0"), ("no", "yes"), ("True", "False"), ("n", "Y")])
    def test_yes_no(self, write: Write, values: tuple[str, str]) -> None:
        rows = [f"{sentence(i)},{sentence(i + 900)},{values[i % 2]}" for i in range(40)]
        guess = sniff(write("questions.csv", "question_a,question_b,same", rows))
        assert (guess.kind, guess.text, guess.label) == ("yes_no", ("question_a", "question_b"), "same")

    def test_yes_no_needs_a_pair(self, write: Write) -> None:
        rows = [f"{sentence(i)},{i % 2}" for i in range(40)]
        assert sniff(write("reviews.csv", "review,good", rows)).kind == "classes"

    def test_two_words_for_a_pair(self, write: Write) -> None:
        rows = [f"{sentence(i)},{sentence(i + 900)},{['same', 'other'][i % 2]}" for i in range(40)]
        guess = sniff(write("q.csv", "left,right,label", rows))
        assert guess.kind == "classes" and has(guess, 'kind = "yes_no"')

    def test_rating_with_decimals(self, write: Write) -> None:
        rows = [f"{sentence(i)},{sentence(i + 900)},{1.2 + i % 20 * 0.18:.2f}" for i in range(80)]
        guess = sniff(write("sentences.csv", "left,right,rating", rows))
        assert (guess.kind, guess.range, guess.text) == ("rating", (1, 5), ("left", "right"))
        assert has(guess, "range [1, 5]", "guessed", "check")

    def test_rating_in_whole_numbers(self, write: Write) -> None:
        guess = sniff(write("r.csv", "text,stars", [f"{sentence(i)},{i % 10 + 1}" for i in range(80)]))
        assert (guess.kind, guess.range) == ("rating", (1, 10))
        assert has(guess, 'kind = "classes"')

    def test_few_whole_numbers_are_classes(self, write: Write) -> None:
        guess = sniff(write("r.csv", "text,stars", [f"{sentence(i)},{i % 5 + 1}" for i in range(80)]))
        assert guess.kind == "classes" and has(guess, 'kind = "rating", range = [1, 5]')

    def test_a_rating_with_some_words(self, write: Write) -> None:
        rows = [f"{sentence(i)},{'n/a' if i == 50 else i % 9 / 2}" for i in range(80)]
        guess = sniff(write("r.csv", "text,score", rows))
        assert (guess.kind, guess.range) == ("rating", (0, 4)) and has(guess, "no numbers: n/a")

    def test_decimal_commas_are_numbers_and_pointed_out(self, write: Write) -> None:
        rows = [f"{sentence(i)};{i % 5},{i % 2}5" for i in range(60)]
        guess = sniff(write("sentences.csv", "body;score", rows))
        assert (guess.kind, guess.label, guess.range) == ("rating", "score", (0, 5))
        assert has(guess, "decimal commas, '0,05'", "write points")

    def test_thousands_are_no_decimals(self, write: Write) -> None:
        rows = [f'{sentence(i)};"{i % 5 + 1},500"' for i in range(60)]
        assert sniff(write("prices.csv", "body;price", rows)).kind == "classes"

    def test_positives_only(self, write: Write) -> None:
        rows = [f"{sentence(i)},{sentence(i + 900)},1" for i in range(40)]
        guess = sniff(write("more.csv", "a,b,same", rows))
        assert guess.kind == "yes_no" and has(guess, "one value only")


class TestColumns:
    def test_ids_are_no_labels_and_no_texts(self, write: Write) -> None:
        rows = [f"{i},{hash(sentence(i)):x},{i * 3 + 7},{sentence(i)},{i % 4}" for i in range(80)]
        guess = sniff(write("t.csv", ",token,user_id,text,kind", rows))
        assert (guess.text, guess.label) == (("text",), "kind")

    def test_an_alternative_label_is_named(self, write: Write) -> None:
        rows = [f"{sentence(i)},{i % 30 / 10},{'abc'[i % 3]}" for i in range(90)]
        guess = sniff(write("t.csv", "text,score,category", rows))
        assert (guess.label, guess.kind) == ("category", "classes")
        assert has(guess, "'score'", 'kind = "rating"', "range = [0, 3]")

    def test_a_short_and_a_long_text(self, write: Write) -> None:
        rows = [f"{sentence(i, 2)},{sentence(i, 30)},{'abc'[i % 3]}" for i in range(60)]
        guess = sniff(write("t.csv", "subject,body,topic", rows))
        assert guess.text == ("body",) and has(guess, "`text` could also be: subject")

    def test_two_texts_of_one_length_are_taken_for_a_pair(self, write: Write) -> None:
        rows = [f"{sentence(i)},{sentence(i + 900)},{'abc'[i % 3]}" for i in range(60)]
        guess = sniff(write("t.csv", "claim,evidence,label", rows))
        assert guess.text == ("claim", "evidence") and has(guess, "taken for a pair", "'claim'")

    @pytest.mark.parametrize(
        "names", ["sentence1,sentence2", "sentenceA,sentenceB", "TEXT_LEFT,TEXT_RIGHT", "premise,hypothesis"]
    )
    def test_names_of_pairs(self, write: Write, names: str) -> None:
        rows = [f"{sentence(i, 25)},{sentence(i, 4)},{sentence(i, 40)},{'abc'[i % 3]}" for i in range(60)]
        guess = sniff(write("t.csv", f"{names},note,label", rows))
        assert guess.text == tuple(names.split(",")) and has(guess, "could also be: note")

    def test_a_script_without_spaces(self, write: Write) -> None:
        rows = [f"{chr(0x4E00 + i)}天氣很好{chr(0x4F00 + i)}我們去,{i % 2}" for i in range(60)]
        assert sniff(write("zh.csv", "句子,label", rows)).text == ("句子",)

    def test_remarks_about_rows(self, write: Write) -> None:
        rows = [f"{sentence(i)},{'ab'[i % 2]}" for i in range(60)] + ["short", '"""a ""b"" c""",a', f"{sentence(77)},"]
        rows[-2] = '"""a """"b"""" c d""",a'
        guess = sniff(write("t.csv", "text,label", rows))
        assert has(guess, "1 broken rows", "t.csv:62: expected 2 columns")
        assert has(guess, "1 of the first 62 rows", "'label'")
        assert has(guess, "1 texts in 'text'", "quoted twice")

    @pytest.mark.parametrize("head", ["good,A fine film", "4.5,A fine film", f"film,{STORY}"])
    def test_a_row_that_was_taken_for_a_header(self, write: Write, head: str) -> None:
        values = ["4.5", "2.5"] if head.startswith("4") else ["good", "poor"]
        rows = [f"{values[i % 2]},{sentence(i)}" for i in range(60)]
        assert has(sniff(write("films.csv", head, rows)), "looks like a value", "add a header line")

    def test_a_class_may_be_called_like_its_column(self, write: Write) -> None:
        rows = [f"{['positive', 'negative'][i % 2]},{sentence(i)}" for i in range(60)]
        assert not has(sniff(write("films.csv", "positive,review", rows)), "header")

    def test_a_header_is_not_taken_for_a_row(self, write: Write) -> None:
        rows = [f"{['good', 'poor'][i % 2]},{sentence(i)}" for i in range(60)]
        assert not has(sniff(write("films.csv", "verdict,review", rows)), "header")

    def test_a_column_twice(self, write: Write) -> None:
        rows = [f"{i % 2},{sentence(i)},{sentence(i + 9)}" for i in range(60)]
        with pytest.raises(DataError, match=r"films\.csv:1: expected one column 'review', found 2; rename the others"):
            sniff(write("films.csv", "good,review,review", rows))

    def test_no_text(self, write: Write) -> None:
        with pytest.raises(DataError, match="expected a column of texts, found none among the columns id, y; write"):
            sniff(write("t.csv", "id,y", [f"{i},{i % 2}" for i in range(40)]))

    def test_no_label(self, write: Write) -> None:
        with pytest.raises(DataError, match="expected a column of labels with two or more values, found none"):
            sniff(write("t.csv", "id,text", [f"{i},{sentence(i)}" for i in range(40)]))


class TestFormats:
    @pytest.mark.parametrize(
        ("name", "format"),
        [
            ("t.csv", Separated(separator=";")),
            ("t.csv", Separated(separator="\t")),
            ("t.tsv", Separated(separator=",")),
            ("t.txt", Separated(separator="|")),
            ("t.csv", Separated(encoding="utf-16")),
            ("t.csv", Separated(encoding="cp1252")),
        ],
    )
    def test_separators_and_encodings(self, write: Write, name: str, format: Separated) -> None:
        mark = format.separator
        rows = [f'"{sentence(i)}{mark} ""é"""{mark}{"ab"[i % 2]}' for i in range(60)]
        path = write(name, f"text{mark}label", rows, format.encoding)
        guess = sniff(path)
        assert guess.format == sniff_format(path) == format
        assert has(guess, "does not follow its suffix", format.in_recipe())
        assert read(path, guess.text, guess.label, guess.format)[0].texts == (f'{sentence(0)}{mark} "é"',)

    def test_quoted_tsv(self, write: Write) -> None:
        rows = [f'"{sentence(i)} ""quoted"" word"\t{"ab"[i % 2]}' for i in range(60)]
        assert sniff_format(write("t.tsv", "text\tlabel", rows)) == Separated(separator="\t")
        assert sniff_format(write("all.tsv", '"a"\t"b"', ['"x y"\t"1"'] * 9)) == Separated(separator="\t")

    def test_plain_quotes_in_tsv(self, write: Write) -> None:
        rows = [f'"{sentence(i)}" she said\t{"ab"[i % 2]}' for i in range(60)]
        assert sniff(write("t.tsv", "text\tlabel", rows)).format is None

    def test_unquoted_csv(self, write: Write) -> None:
        rows = [f'"{sentence(i)}" she said,{"ab"[i % 2]}' for i in range(60)]
        assert sniff(write("t.csv", "text,label", rows)).format == Separated(quoted=False)

    @pytest.mark.parametrize("name", ["t.jsonl", "t.txt"])
    def test_json_lines(self, write: Write, name: str) -> None:
        rows = [json.dumps({"text": sentence(i), "spans": [i], "good": bool(i % 2)}) for i in range(40)]
        guess = sniff(write(name, *rows[:1], rows[1:]))
        assert (guess.kind, guess.text, guess.label) == ("classes", ("text",), "good")
        assert guess.format == (None if name == "t.jsonl" else JsonLines())

    def test_nothing_fits(self, write: Write) -> None:
        with pytest.raises(DataError, match="expected a header line and rows of two columns or more, found none"):
            sniff(write("t.csv", "text", [sentence(i) for i in range(9)]))

    def test_missing_and_empty(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="expected a file, found none"):
            sniff(tmp_path / "t.csv")
        (tmp_path / "t.csv").touch()
        with pytest.raises(DataError, match="expected a header line and rows"):
            sniff(tmp_path / "t.csv")


class TestNames:
    @pytest.mark.parametrize(
        ("file", "name"),
        [
            ("tickets.csv", "tickets"),
            ("sts-dev.csv", "sts"),
            ("My Tickets (2024).csv", "my_tickets_2024"),
            ("été_train.csv", "ete"),
            ("2024.csv", "task_2024"),
            ("class.csv", "task_class"),
            ("train.csv", "folder"),
        ],
    )
    def test_from_the_file(self, write: Write, tmp_path: Path, file: str, name: str) -> None:
        (tmp_path / "folder").mkdir()
        path = write(f"folder/{file}", "text,label", [f"{sentence(i)},{'ab'[i % 2]}" for i in range(40)])
        assert sniff(path).name == name

    def test_unique(self, write: Write) -> None:
        path = write("t.csv", "text,label", [f"{sentence(i)},{'ab'[i % 2]}" for i in range(40)])
        assert sniff(path, ["t"]).name == "t_2"
        assert sniff(path, ["t", "t_2"]).name == "t_3"


PAIR = ("sentence1", "sentence2")


class TestRealFiles:
    @pytest.mark.parametrize(
        ("file", "name", "kind", "text", "label"),
        [
            ("sst/train.tsv", "sst", "classes", ("sentence",), "sentiment"),
            ("quora/train.tsv", "quora", "yes_no", PAIR, "is_duplicate"),
            ("quora/dev.tsv", "quora", "yes_no", PAIR, "is_duplicate"),
            ("quora/more-duplicates.tsv", "more_duplicates", "yes_no", PAIR, "is_duplicate"),
            ("sts/train.tsv", "sts", "rating", PAIR, "similarity"),
            ("mrpc/train.tsv", "mrpc", "yes_no", PAIR, "label"),
            ("sick/train.tsv", "sick", "classes", ("sentence_A", "sentence_B"), "entailment_judgment"),
            ("trec/train.tsv", "trec", "classes", ("sentence",), "label"),
            ("cfimdb/train.tsv", "cfimdb", "classes", ("sentence",), "sentiment"),
            ("cs224n/ids-sst-dev.csv", "ids_sst", "classes", ("sentence",), "sentiment"),
            ("cs224n/sts-dev.csv", "sts", "rating", PAIR, "similarity"),
            ("cs224n/quora-dev.csv", "quora", "yes_no", PAIR, "is_duplicate"),
        ],
    )
    def test_guess(self, data: Path, file: str, name: str, kind: str, text: tuple[str, ...], label: str) -> None:
        guess = sniff(data / file)
        assert (guess.name, guess.kind, guess.text, guess.label) == (name, kind, text, label)
        assert guess.range == ((0, 5) if kind == "rating" else None)
        quoted = file.startswith(("cs224n", "cfimdb"))
        assert guess.format == (Separated(separator="\t") if quoted else None)

    def test_the_other_task_of_sick_is_named(self, data: Path) -> None:
        assert has(sniff(data / "sick" / "train.tsv"), "'relatedness_score'", 'kind = "rating"', "range = [1, 5]")

    def test_a_file_without_labels(self, data: Path) -> None:
        with pytest.raises(DataError, match="expected a column of labels"):
            sniff(data / "cs224n" / "ids-sst-test-student.csv")
