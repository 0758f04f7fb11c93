"""`onbehalf migrate`: what it does every time it runs."""

import json
import pathlib

from support import worker, world as world_module

LIST = pathlib.Path(__file__).resolve().parents[2] / "schemas" / "reasons.json"


def test_reasons_are_loaded_each_time_and_only_what_differs_is_written(postgres, folder):
    database = world_module.make_template(postgres, folder / "reasons", "onbehalf_reasons")
    listed = {row["code"]: (row["meaning"], row["repairer"], row["how"])
              for row in json.loads(LIST.read_text(encoding="utf-8"))["reasons"]}

    def rows(query):
        return postgres.sql(query, database=database)

    def loaded():
        return {row["code"]: (row["meaning"], row["repairer"], row["how"]) for row in rows("SELECT * FROM gov.reason")}

    def versions():
        return {row["code"]: row["version"] for row in rows("SELECT code, xmin::text AS version FROM gov.reason")}

    assert loaded() == listed
    rows("DELETE FROM gov.reason WHERE code = 'held'")
    rows("UPDATE gov.reason SET meaning = 'x' WHERE code = 'bound'")
    rows("INSERT INTO gov.reason VALUES ('reason_of_tomorrow', 'A later release has it.', 'nobody', 'none')")
    before = versions()
    worker.migrate(folder / "reasons" / "onbehalf.conf", postgres, database)

    after = versions()
    assert {code: row for code, row in loaded().items() if code in listed} == listed
    assert set(after) - set(listed) == {"reason_of_tomorrow"}, "nothing is removed"
    assert {code for code in after if after[code] != before.get(code)} == {"held", "bound"}
