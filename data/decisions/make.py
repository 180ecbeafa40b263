"""Makes the shipped loan applications, byte for byte. Run from the repository root: `PYTHONPATH=. python data/decisions/make.py`.

Everything is generated: no person, no bank. Region goes with gender (four in five), which makes it a proxy; repayment depends on amount,
income, missed payments and job alone. No applicant in the twenties has held a job for decades.
"""

import csv
import io
from pathlib import Path
from random import Random

N = 300
HERE = Path(__file__).parent


def draw_row(draw: Random) -> dict[str, str]:
    gender = draw.choice(("man", "woman"))
    goes_with = "south" if gender == "woman" else "north"
    other = "north" if gender == "woman" else "south"
    age = draw.choices(("twenties", "forties", "sixties"), (30, 45, 25))[0]
    tenure = draw.choices(("months", "years", "decades"), (45, 55, 0) if age == "twenties" else (15, 45, 40))[0]
    row = {
        "amount": draw.choices(("small", "medium", "large"), (35, 40, 25))[0],
        "income": draw.choices(("low", "middle", "high"), (30, 45, 25))[0],
        "defaults": draw.choices(("none", "one", "several"), (60, 25, 15))[0],
        "tenure": tenure, "age": age, "gender": gender, "region": goes_with if draw.random() < 0.8 else other,
    }  # fmt: skip
    score = (
        {"small": 0.8, "medium": 0.0, "large": -0.8}[row["amount"]]
        + {"low": -1.0, "middle": 0.2, "high": 1.2}[row["income"]]
        + {"none": 0.8, "one": -0.6, "several": -1.8}[row["defaults"]]
        + {"months": -0.4, "years": 0.2, "decades": 0.6}[row["tenure"]]
    )
    return row | {"repaid": "Yes" if score + draw.gauss(0, 1) > 0 else "No"}


def make() -> bytes:
    draw = Random("loan applications 1")
    rows = [draw_row(draw) for _ in range(N)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


if __name__ == "__main__":
    (HERE / "credit.csv").write_bytes(make())
