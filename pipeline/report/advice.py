"""Of each notice what it means for whoever trains on the mixture, and what to do about it."""

# By the name of the check in `notices.py`: meaning, remedy.
ADVICE: dict[str, tuple[str, str]] = {
    "balance": (
        "The ratio that the mixture asks for does not hold, over the run or where a training stops early. The packed "
        "shards are not what was asked for.",
        "Do not train on them. Run `loopmix verify RUN`; if files are damaged, run `loopmix curate` again, which makes "
        "them anew. If it stays, it is a defect of loopmix.",
    ),
    "sample": (
        "Only a part of the input was read: shares, duplicates and losses are estimates, and rare groups are missing.",
        "Curate without --sample or ingest.sample into another folder before training.",
    ),
    "training": (
        "The model that was trained to prove the mixture does not prove it: a check failed, was left open, or it saw "
        "other data.",
        "Read the checks below Training. Train again on this run: `loopmix train CONFIG --data RUN --out MODEL`, then "
        "`loopmix report RUN --model MODEL`.",
    ),
    "bad_shards": (
        "Parts of the input could not be read and were left out; all numbers are of the rest.",
        "Mend or replace the files that Work names, and run the same `loopmix curate` again: only they are read anew.",
    ),
    "unread": (
        "More rows of a source or file could not be read than ingest.max_unreadable_frac allows: a file of another "
        "format, or one that was cut.",
        "Look at a row that was not read with `loopmix why RUN PATH`. Mend the file, exclude it, or raise the limit.",
    ),
    "lost_fields": (
        "A column that the mixture maps holds something else than its field wants, so the field is empty and rules or "
        "ties that use it (licence, stars, time) are without it.",
        "Correct `columns` of the source, or take the field out of it.",
    ),
    "unfilled_fields": (
        "Whole input files fill a field of `columns` in no row. Most likely they lack the column or call it otherwise, "
        "and rules, caps and ties that use it (licence, repository, path) see nothing of them.",
        "`loopmix lint` names the files. Give them a source of their own with their columns, or exclude them.",
    ),
    "default_columns": (
        "The field was not mapped; a column of its name was there and was taken. If it means something else, so do "
        "the numbers that use it.",
        "Write the column under `columns` of the source if it is right; map another, or null, if it is not.",
    ),
    "targets": (
        "A limit (tokens that there are, max_copies, max_frac) kept a group from the share that was asked for; others "
        "have more instead.",
        "Give the group more data, allow more copies, or ask for a share that its data can fill.",
    ),
    "copies": (
        "A model that sees tokens more than four times gains little from them and begins to know them by heart.",
        "Lower the share of the group, set max_copies, or add data of its kind.",
    ),
    "sensitive": (
        "Values that look like credentials or personal data stand in the packed tokens, because privacy.policies says "
        "report for their kind.",
        "Set the kinds to redact or drop in privacy.policies and curate again; table Privacy counts them by kind.",
    ),
    "nearly_lost": (
        "Nearly all documents of a source, language or repository are dropped. Mostly a rule does not fit it, or it is "
        "a copy of another.",
        "Read its samples by drop reason. Then exempt the language or move the limit, or take the source out.",
    ),
    "unknown": (
        "Without a language documents are dropped and their tokens are missing from every share. Mostly a source does "
        "not say which column holds the path.",
        "Map columns.path of the source; else read samples of the reason unknown_language.",
    ),
    "misnamed": (
        "Names and contents disagree: prose under names of code, or code as text. Either bends the balance between the "
        "pools.",
        "Table “names and contents” says where. An override in the mixture sets pool and language of such paths.",
    ),
    "padding": (
        "Padding is computed and teaches nothing: the training costs this much more than its tokens.",
        "Take a shorter pack.seq_len or more data; many short documents fill better.",
    ),
    "concentrated": (
        "One repository, site or folder gives much of a pool; its style, boilerplate and errors will be the model's.",
        "Read samples of its documents. Without phases, max_repo_frac below balance.code or balance.text caps "
        "repositories; with phases, and for a folder of generated files, take what is too much out of the input: "
        "`exclude` of a source of files, or fewer rows of a table.",
    ),
    "killers": (
        "Documents made the parser crash or not end. The run is whole, but somebody may have made them to.",
        "Look at them with `loopmix why`; keep them from other tools that parse.",
    ),
    "surplus": (
        "Good data is left over: the other pool, or a budget, does not reach it. The mixture is right, and could be "
        "larger.",
        "Add data to the other pool, change balance.parts, or leave it: nothing is wrong.",
    ),
    "joined_nothing": (
        "Files of repositories were to stand side by side, and none do, so the model sees each alone.",
        "Map columns.repo of the sources of code.",
    ),
    "licenses": (
        "Tokens under copyleft, other or unknown licences are in the mixture. Whether a model may be trained on them "
        "is a question of law and of your house's rules.",
        "Ask whoever decides it, with the table of licences. select.drop_licenses leaves classes out.",
    ),
    "stricter": (
        "A document was kept under one licence, and a copy of it elsewhere bears a stricter one. One of the two labels "
        "is wrong.",
        "Take such texts out by source, or drop the class in select.drop_licenses, which holds for equal documents.",
    ),
}
