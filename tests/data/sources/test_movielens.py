"""MovieLens: golden data sets in the layout of each release, and one line for what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data.sources import MovieLensConfig, read_source

# u and v rated 2 and 10 each; w rated 3 alone and falls out of the 2-core.
ROWS = [
    ("u", "10", "4.5", 20),
    ("u", "2", "0.5", 20),
    ("w", "3", "5.0", 5),
    ("v", "2", "3.0", 9),
    ("v", "10", "4.0", 3),
]
TABLE = [("u", "10", 20), ("u", "2", 20), ("v", "10", 3), ("v", "2", 9)]  # a tie keeps its order
TEXTS = [
    ("10", "Léon: The Professional (1994)", "Crime, Drama"),
    ("2", "American President, The (1995)", None),
]
TITLES = {item: title for item, title, _ in TEXTS}


def write_csv(folder):
    rows = "".join(f"{u},{i},{stars},{time}\r\n" for u, i, stars, time in ROWS)
    (folder / "ratings.csv").write_bytes(f"userId,movieId,rating,timestamp\r\n{rows}".encode())
    (folder / "movies.csv").write_text(
        f'movieId,title,genres\n2,"{TITLES["2"]}",(no genres listed)\n'
        f"10,{TITLES['10']},Crime|Drama\n9,Not rated (1990),War\n",
        encoding="utf-8",
    )


def write_dat(folder, encoding="latin-1"):
    rows = "".join(f"{u}::{i}::{stars}::{time}\n" for u, i, stars, time in ROWS)
    (folder / "ratings.dat").write_text(rows)
    movies = f"2::{TITLES['2']}::\n10::{TITLES['10']}::Crime|Drama\n9::Not rated (1990)::War\n"
    (folder / "movies.dat").write_text(movies, encoding=encoding)


def write_100k(folder):
    rows = "".join(f"{u}\t{i}\t{stars}\t{time}\n" for u, i, stars, time in ROWS)
    (folder / "u.data").write_text(rows)
    crime_and_drama = "|".join("1" if place in (6, 8) else "0" for place in range(19))
    unknown = "|".join(["1"] + ["0"] * 18)
    movies = (
        f"2|{TITLES['2']}|01-Jan-1995||http://us.imdb.com/M/title-exact?2|{unknown}\n"
        f"10|{TITLES['10']}|01-Jan-1994||http://us.imdb.com/M/title-exact?10|{crime_and_drama}\n"
    )
    (folder / "u.item").write_text(movies, encoding="latin-1")


def read(folder, **settings):
    return read_source(MovieLensConfig(folder=folder, **{"min_interactions": 2, **settings}))


@pytest.mark.parametrize(
    "write", [write_csv, write_dat, lambda f: write_dat(f, "utf-8"), write_100k]
)
def test_golden(tmp_path, write):
    write(tmp_path)
    dataset = read(tmp_path)
    assert dataset.interactions.table.rows() == TABLE
    assert dataset.items.columns == ["item_id", "title", "genres"]
    assert dataset.items.rows() == TEXTS


@pytest.mark.parametrize("write", [write_csv, write_dat, write_100k])
def test_min_rating_comes_before_the_k_core(tmp_path, write):
    write(tmp_path)
    assert len(read(tmp_path, min_rating=0.5).interactions) == 4
    kept = read(tmp_path, min_rating=4.0, min_interactions=0).interactions
    assert kept.table.rows() == [("u", "10", 20), ("w", "3", 5), ("v", "10", 3)]
    assert read(tmp_path, min_rating=0.5).notes == {
        "rows_read": 5, "duplicates_dropped": 0, "dropped_below_min_rating": 0,
        "dropped_outside_core": 1,
    }  # fmt: skip
    assert read(tmp_path, min_rating=4.0, min_interactions=0).notes == {
        "rows_read": 5, "duplicates_dropped": 0, "dropped_below_min_rating": 2,
        "dropped_outside_core": 0,
    }  # fmt: skip
    message = r"has 2 interactions of 2 users with 2 items, and none is left in their 2-core"
    with pytest.raises(ValueError, match=message):
        read(tmp_path, min_rating=4.5)
    with pytest.raises(ValueError, match=r"has no rating of at least 6.0 stars: lower min_rating"):
        read(tmp_path, min_rating=6.0)


def test_a_movie_without_title_is_null(tmp_path):
    write_csv(tmp_path)
    assert read(tmp_path, min_interactions=0).items.rows()[2] == ("3", None, None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("u::2::3.0", "ratings.dat has 'u::2::3.0' in row 7 and not the fields user_id, item_id"),
        ("u::2::3.0::7::8", "ratings.dat has .* in row 7 and not the fields"),
        ("u::::3.0::7", "ratings.dat, row 7, column 'item_id': '' is not an id"),
        ("u::2::3.0::late", "ratings.dat, row 7, column 'timestamp': 'late' is not a whole number"),
        ("u::2::good::7", "ratings.dat, row 7, column 'rating': 'good' is not a number"),
        ("u::2::nan::7", "ratings.dat, row 7, column 'rating': 'nan' is not a number"),
    ],
)
def test_a_bad_rating_gets_one_line(tmp_path, line, message):
    write_dat(tmp_path)
    with (tmp_path / "ratings.dat").open("a") as file:
        file.write(f"\nx::2::1.0::1\n{line}\n")
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, min_rating=3.0)
    assert "\n" not in str(caught.value)


def test_a_bad_csv_row_gets_one_line(tmp_path):
    write_csv(tmp_path)
    with (tmp_path / "ratings.csv").open("a") as file:
        file.write("u,2,1.0,1\n,2,1.0,1\n")
    with pytest.raises(ValueError, match=r"ratings.csv, row 7, column 'userId': '' is not an id"):
        read(tmp_path, min_rating=3.0)


@pytest.mark.parametrize(
    ("write", "name", "content", "message"),
    [
        (write_csv, "movies.csv", "id,title\n1,a\n", r"movies.csv.*movieId.*as it was published"),
        (write_csv, "ratings.csv", "u,2,1.0,1\n", r"ratings.csv.*userId.*as it was published"),
        (write_csv, "ratings.csv", "", r"ratings.csv is empty"),
        (write_dat, "ratings.dat", "", r"ratings.dat has no rows"),
        (write_dat, "ratings.dat", "\n\n", r"ratings.dat has no rows"),
        (write_dat, "movies.dat", "\n2::Title\n", r"movies.dat has '2::Title' in row 1 and not"),
        (write_100k, "u.item", "2|Title|||\n", r"u.item has '2|Title|||' in row 1 and not the"),
        (write_100k, "u.item", "2|T|||x" + "|2" * 19, r"u.item has .* and not the .*flags 0 or 1"),
    ],
)
def test_bad_files_get_one_line(tmp_path, write, name, content, message):
    write(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_bad_folders(tmp_path):
    with pytest.raises(ValueError, match=r"no such folder: .*absent; give"):
        read(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"holds none of ratings.csv, ratings.dat, u.data: name"):
        read(tmp_path)
    write_csv(tmp_path)
    (tmp_path / "movies.csv").rename(tmp_path / "films.csv")
    with pytest.raises(ValueError, match=r"holds no movies.csv: add it from the release"):
        read(tmp_path)
    write_100k(tmp_path)
    with pytest.raises(ValueError, match=r"holds several releases \(ratings.csv, u.data\): keep"):
        read(tmp_path)


@pytest.mark.parametrize("write", [write_csv, write_dat, write_100k])
@given(at=st.integers(0, 250), cut=st.integers(0, 9), put=st.binary(max_size=4))
def test_mutated_files_give_a_dataset_or_one_line(tmp_path_factory, write, at, cut, put):
    folder = tmp_path_factory.mktemp("movielens")
    write(folder)
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        path.write_bytes(content[:at] + put + content[at + cut :])
        message = "one line"
        try:
            read(folder, min_rating=0.5)
        except ValueError as error:
            message = str(error)
        assert "\n" not in message
        path.write_bytes(content)
