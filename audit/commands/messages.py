"""What to do about each error, by its slug: ``collapse-audit explain SLUG`` and the page of messages read it.

Slugs are permanent, and stand in square brackets behind a message about a file. A new error needs a line here; a test
holds this table against the source. Exit code is 4, except under "Probes and reports" (3).
"""

from __future__ import annotations

from collections.abc import Mapping

MESSAGES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Command line and settings": {
        "usage": ("a flag or a combination of flags makes no sense", "do what the message says, or see `--help`"),
        "config": ("a setting is unknown or has a value that is not allowed", "correct every line that is named"),
        "output": ("standard output cannot be written to", "free space on the disk, or redirect to another place"),
        "report-folder": ("the report has nowhere to go", "name a folder that you may write to with `--report`"),
        "history": ("the history file cannot be opened or locked", "name a file in a folder where you may write"),
        "history-unreadable": ("the history is there and cannot be read", "restore the file's permissions"),
        "history-line": ("a line of the history is not one", "restore the file from a backup; never edit it by hand"),
        "no-remote": (
            "the libraries that fetch a URL are not installed",
            "run the pip command that the message names",
        ),
        "no-tracker": ("what `--log-to` needs is not installed", "run the pip command that the message names"),
        "state": (
            "the file of finished trials is another calibration's, damaged or not writable",
            "remove the file, or name another with `--state`",
        ),
        "calibration-process": (
            "a process of the calibration was ended from outside",
            "run again with `--state FILE`, which keeps finished trials, or with `--processes 1`",
        ),
    },
    "Finding a lineage": {
        "input": ("an input cannot be read as what it claims to be", "correct what the message names"),
        "limit-exceeded": (
            "a file holds more than is read without being asked",
            "raise that limit, if the file is honest: `COLLAPSE_AUDIT_LIMITS=NAME=NUMBER`",
        ),
        "too-many-generations": (
            "there are more generations than are read without being asked",
            "name those to audit, or raise the limit: `COLLAPSE_AUDIT_LIMITS=generations=NUMBER`",
        ),
        "more-problems": ("a file has more problems than are listed", "correct those listed and run again"),
        "no-lineage": ("the path is no folder that holds a lineage", "give the folder that `lineage.toml` is in"),
        "no-corpus": ("the folder holds no file that is named as a corpus", "name files `reference.*`, `gen_0.*`, …"),
        "no-generation": ("there is no generation", "add `gen_0.*` and what comes after it"),
        "no-texts": ("a generation has held-out text and no texts", "add the texts that it wrote"),
        "nothing-to-compare": ("one generation alone", "add a reference, or another generation"),
        "unknown-name": (
            "a name looks like a corpus's and is not one",
            "rename it as the message says, or move it away",
        ),
        "ambiguous-corpus": ("two files claim to be the same corpus", "keep one of them in the folder"),
        "seeds-mixed": (
            "seeds are mixed with generations beside them, or a reference lies inside one",
            "put all generations into `seed_<s>/` folders, and one reference beside these",
        ),
        "holdout-alone": ("held-out human text without a reference", "add `reference.*`, or remove the held-out text"),
        "holdout-is-texts": ("one file is both texts and held-out texts", "give held-out texts a file of their own"),
        "missing-file": ("a file that is named is not there", "correct the name, or put the file into the folder"),
        "not-a-file": ("something is named that is no regular file", "name a file"),
        "unknown-format": (
            "the name ends in no known format",
            "write .jsonl, .json, .parquet, .csv, .tsv or .txt, or these with .gz, .zst or .xz",
        ),
        "no-order": (
            "names count different things, or stand beside files that count nothing",
            "name the corpora in their order: `collapse-audit --generations PATH PATH …`",
        ),
        "several-corpora": ("a folder holds several corpora where one is meant", "name one of its files or folders"),
        "shards-missing": ("some files of a set of shards are not there", "copy the whole set"),
        "bad-path": ("a path cannot be followed", "name a file inside the lineage's folder"),
        "absolute-path": ("a path in the manifest is absolute", "write it relative to the lineage's folder"),
        "path-outside": ("a path leads out of the folder", "copy the file into the folder"),
        "link-outside": ("a link leads out of the folder", "copy the file into the folder instead of linking it"),
        "unreadable": ("a file or folder cannot be read", "restore its permissions"),
        "no-match": ("no file matches a pattern, or there is no list to match", "correct it, or name the files"),
    },
    "Texts that are not local": {
        "bad-url": ("a URL is none of those that are read", "write it as the message says is expected"),
        "url-in-lineage": (
            "a lineage names a URL, which only who starts an audit may",
            "name the corpora yourself: `collapse-audit --generations URL URL …`, or fetch them first",
        ),
        "remote-denied": (
            "a server or a store does not let us read a file",
            "give credentials where its own tools look for them; `FSSPEC_S3_ANON=true` reads a public bucket",
        ),
        "remote-redirect": (
            "a server sends us to where we do not follow",
            "name the URL of the file itself, if you trust it",
        ),
        "remote-changed": ("a file changed while it was audited", "run again when nobody writes to it"),
        "remote-unreadable": (
            "a file cannot be fetched",
            "look at the server and the connection; `COLLAPSE_AUDIT_LIMITS=silence=SECONDS` waits longer",
        ),
    },
    "The manifest": {
        "manifest": ("a value in `lineage.toml` is not allowed", "write what the message says is expected"),
        "broken-toml": ("the file is no TOML", "correct the line; strings need quotes"),
        "manifest-format": ("a newer version wrote the manifest", "upgrade collapse-audit"),
        "unknown-key": ("a key that no manifest has", "correct its spelling, or remove it"),
        "missing-key": ("a key that is required is missing", "add it"),
        "duplicate-generation": ("the same generation of a seed twice", "remove one entry"),
        "shares": ("shares do not sum to 1", "correct them"),
        "digest-mismatch": (
            "a file is not the one that was recorded",
            "restore the file; if the change is meant, record its new digest",
        ),
        "unknown-source": ("a source in `trained_on` is nobody's text", "name `reference` or the texts of an entry"),
        "trained-on-itself": ("a generation is said to be trained on what it wrote", "name what it was trained on"),
        "trained-on-holdout": ("held-out text is said to have been trained on", "name the texts instead"),
        "split-and-holdout": ("records have a `split`, and a held-out file is named too", "use one of the two ways"),
        "no-train-split": ("no record has the split `train`", 'mark what was trained on with "train"'),
    },
    "Corpora": {
        "no-record": ("a file holds no record at all", "write the corpus again; nothing was measured of it"),
        "bad-utf8": ("bytes that are not UTF-8", "convert the file: `iconv -f FROM -t UTF-8`"),
        "not-text": ("the file is of another format than its name says", "give it the right ending, or unpack it"),
        "gzip-broken": ("compressed data is damaged", "write the file again"),
        "gzip-truncated": ("compressed data ends too early", "write or copy the file again, whole"),
        "broken-json": ("a line is no JSON", "write one JSON object a line"),
        "json-array": ("the file is one JSON array", "let its name end in .json"),
        "duplicate-key": ("a key twice in one object", "keep one of them"),
        "not-an-object": ("a line is JSON and no object", 'write objects: {"text": …}'),
        "broken-csv": ("a row cannot be read as CSV", "quote cells that hold quotes or line ends"),
        "cell-count": ("a row has more or fewer cells than the header", "quote cells that hold commas"),
        "blank-row": ("a blank line in a file with one column", 'write an empty text as ""'),
        "duplicate-column": ("two columns have one name", "rename one"),
        "broken-parquet": ("the file is no Parquet, or damaged", "write it again"),
        "broken-arrow": ("the file is no Arrow file, or damaged", "write it again"),
        "missing-text": (
            "a record has no `text`, and no form that is known",
            "name the field that holds what the model wrote: `--text FIELD`",
        ),
        "ambiguous-text": (
            "several fields could be the text",
            "name the one that holds what the model wrote: `--text FIELD`",
        ),
        "no-field": ("no record has the field that was named", "correct the name after `--text`, `--prompt`, …"),
        "no-array": ("a JSON object without an array of records", "write an array of records"),
        "several-arrays": ("a JSON object with several arrays", "write one of them into a file: `jq .NAME`"),
        "bad-text": ("a text is no string", "write a string; an empty one is allowed"),
        "bad-id": ("an id is neither string nor integer", "write one of the two"),
        "bad-group": ("a group is neither string nor integer", "write one of the two"),
        "bad-prompt": ("a prompt is no string", "write a string, or leave the field out"),
        "bad-label": ("a label is no string", "write a string"),
        "bad-labels": ("`labels` is no list of strings", 'write a list; one label goes into "label"'),
        "empty-label": ("a label is the empty string", "write `[]` in `labels` for a record without one"),
        "label-and-labels": ("a record has `label` and `labels`", "keep one of them"),
        "unknown-label": ("a label is not among the manifest's classes", "correct the label, or add the class"),
        "bad-nll": (
            "an `nll` is no finite number, 0 or more",
            "write nats per token, positive; leave it out if unknown",
        ),
        "bad-numeric": (
            "a `numeric` is no finite number (or beyond 1e70) and no list of such",
            "correct it; texts stand in `text`",
        ),
        "missing-numeric": (
            "a record lacks the field that was named for its numbers",
            "correct the record, or name another field: `--numeric FIELD`",
        ),
        "numeric-size": (
            "a record holds more or fewer numbers than the first one",
            "write equally many numbers in every record of a file",
        ),
        "bad-embedding": (
            "an `embedding` is no list of finite numbers, or one record of several texts has no embedding of each",
            "correct it, rename the field if it means something else, or name another field: `--embedding FIELD`",
        ),
        "bad-score": (
            "the field named for scores holds none, or one record of several texts has no score of each",
            "correct it, or name another field: `--score FIELD`",
        ),
        "embedding-size": (
            "the embeddings of two records have different lengths",
            "embed all texts by one model",
        ),
        "embedding-incomplete": (
            "some records hold an `embedding` and some do not",
            "embed all texts of the corpus, or take the field out",
        ),
        "numeric-mixed": ("some records hold texts and some hold numbers", "put them into files of their own"),
        "bad-n_tokens": ("`n_tokens` is no whole number, 0 or more", "correct it, or leave it out"),
        "bad-split": ("a `split` is neither train nor holdout", "rename the field if it means something else"),
        "split-incomplete": ("some records have a `split` and some have none", "give one to every record or to none"),
        "duplicate-id": ("two records have one id", "make ids unique within a file"),
        "nul": ("a NUL character", "remove it from the text"),
        "lone-surrogate": ("half of a surrogate pair, which UTF-8 cannot hold", "replace it, for example by U+FFFD"),
    },
    "Files beside a generation": {
        "adapter-missing": ("there is no adapter where the manifest names one", "put it back, or remove the key"),
        "adapter-pickle": ("the adapter is a pickle, which is never opened", "save it with safe_serialization=True"),
        "adapter-broken": ("the adapter is no whole safetensors file", "copy it again"),
        "adapter-config": ("`adapter_config.json` is no JSON object", "copy it again"),
        "adapter-shape": ("the adapter does not fit its base", "name the base that it was trained on"),
        "adapter-not-loaded": ("the adapter is not loaded whole", "check that adapter and base belong together"),
        "adapter-twin": ("two generations answer exactly alike", "give each generation the adapter of its own"),
        "merged-differs": ("a merged model is not base and adapter", "merge again, into the base without quantization"),
        "no-models": ("no generation has an adapter to be opened", "leave `--models` out"),
        "control-is-texts": ("one file is both texts and a control", "give the control a file of its own"),
        "control-of-generation-0": ("generation 0 has a control", "give it to the later generation it belongs to"),
        "bad-scores": ("a file of scores is not as `collapse-lineage score` writes it", "remove it and score again"),
        "bad-contexts": ("a file of contexts is not as `collapse-lineage score` writes it", "score again"),
        "contexts-of-another": (
            "contexts were asked of another adapter",
            "run `collapse-lineage score --contexts` again",
        ),
        "lm-eval": ("lm-eval results cannot be read or written", "evaluate again with `collapse-lineage evaluate`"),
        "lm-eval-version": ("results of an lm-eval that is not known", "evaluate again with lm-eval 0.4"),
        "lm-eval-model": ("results of another adapter", "evaluate this generation again"),
        "lm-eval-samples": ("samples are not those that the results name", "evaluate this generation again"),
        "no-words": ("texts without spaces have no word perplexity", "name tasks without it with `--task`"),
        "lm-eval-not-ours": ("results that something else wrote stand in the way", "move them, or name another place"),
    },
    "Reference packs": {
        "pack-name": ("the name of a pack does not end in .npz, or cannot be written", "name another file"),
        "pack-numbers": (
            "records of numbers have no pack, and are not compared with one",
            "name the file of the baseline's numbers: `--baseline FILE`",
        ),
        "pack-foreign": ("the file is no reference pack", "make one with `collapse-lineage pack`"),
        "pack-format": ("a newer version wrote the pack", "upgrade collapse-audit"),
        "pack-damaged": ("the pack is not as it was written", "copy it again from where it was made"),
        "pack-key": (
            "there is no private key, or it is too short to be one",
            "make one once, and give it to all shards: `head -c 32 /dev/urandom > house.key`",
        ),
        "pack-sealed": (
            "a part of a pack was sealed by another key, or is damaged",
            "name the key that it was made with, or make the part again",
        ),
        "pack-parts": ("parts of a pack do not belong together", "make all parts alike, and name each once"),
        "no-parts": ("what seals parts is not installed", "run the pip command that the message names"),
        "pack-pickle": ("the file holds a pickle, which is never opened", "make the pack with `collapse-lineage pack`"),
    },
    "Comparing": {
        "compare-kind": ("one of the two is neither a report nor a lineage", "name two reports, or two lineages"),
        "unlike": ("the two lineages are not audited alike", "set the same labels, tokens and margins for both"),
        "same-seeds": ("two seeds of a lineage are the same texts", "remove the copy"),
        "report-unreadable": ("a report cannot be read", "name a `report.json`, or the folder it is in"),
        "report-unfinished": (
            "a command died while it put new reports into the folder",
            "run the audit again with the same `--report`: it finishes or replaces them",
        ),
        "report-json": ("a report is no strict JSON", "write it again"),
        "report-version": ("a newer version wrote the report", "upgrade collapse-audit"),
        "report-schema": ("a report does not fit its schema", "write it again; do not edit reports"),
        "report-verdict": ("a report's verdict is not what its findings add up to", "audit again; do not edit reports"),
    },
    "Training: before it starts": {
        "training": ("a training cannot go on", "do what the message says"),
        "no-training-stack": ("PyTorch and its companions are not installed", "`pip install 'collapse-audit[train]'`"),
        "no-manifest": ("the folder has no `lineage.toml`", "write one with a `[recipe]`"),
        "no-recipe": (
            "the manifest has no recipe of a trained lineage, and no base is known",
            "add `[recipe]`, or name the base of the adapters: `--base FOLDER`",
        ),
        "no-reference": ("the manifest has no `[reference]`", "add the text that people wrote"),
        "no-scheme": ("the manifest has no scheme, or a blend without shares", "say what each generation learns from"),
        "no-partner": ("a scheme needs a partner, or a partner has no use", "set `partner`, or remove it"),
        "partner-behind": ("the partner has not yet written what is needed", "name both lineages in one command"),
        "partner-reference": ("the partner has another reference", "train both on the same prompts"),
        "fresh": ("fresh human text is missing, too little, or has no use", "do what the message says"),
        "cures": ("a cure, or a file of cures, is not there or does not fit", "do what the message says"),
        "amount": ("the recipe says twice how much is read", "give `epochs` or `examples`"),
        "selection": (
            "the band of perplexity is empty, or no text has a likelihood",
            "give two quantiles, the lower first; texts that our trainer wrote carry `nll`",
        ),
        "unknown-profile": ("the recipe has no such profile", "name one of those listed"),
        "profile": ("a profile without a folder to write to", "add `--out DIR`, or `--dry-run`"),
        "unknown-seed": ("the recipe has no such seed", "name one of those listed"),
        "out": ("`--out` names a folder that holds something else, or more lineages than one", "name a new folder"),
        "locked": ("another process trains this seed", "wait for it, or train another seed"),
        "recipe-changed": (
            "finished generations were made by another recipe",
            "put it back, or start anew with `--out`",
        ),
        "mix": ("corpora of different sizes cannot be mixed prompt by prompt", "bring them to the same prompts"),
        "no-prompt": ("a record has no prompt", 'add prompts, or set task = "blocks"'),
        "too-little-text": ("not one block of text", "bring more text, or lower the block's size"),
        "context": ("something does not fit the context", "raise `text.context`, or shorten prompts and answers"),
        "decoding": ("settings of the decoding contradict each other", "remove what the message names"),
    },
    "Training: the base and the adapters": {
        "base": (
            "the base cannot be loaded or is not complete",
            "check its name and files; `validate --models` only looks into folders and the hub's cache",
        ),
        "base-gguf": (
            "the base's GGUF file is not there",
            "put it where `recipe.base.gguf` says",
        ),
        "base-tokenizer": ("the base's tokenizer has no end-of-text token", "choose a base that has one"),
        "base-elsewhere": ("the base belongs to another lineage, which is not trained yet", "train that one first"),
        "base-other": ("the base was made by another recipe", "remove its folder to have it made anew"),
        "base-changed": ("the base's weights have changed since", "restore them, or start anew with `--out`"),
        "base-nan": ("the base did not train", "lower its learning rate"),
        "random-weights": ("weights of the base would have been filled in at random", "bring the whole checkpoint"),
        "no-adapter": ("the adapter was not attached", "name layers that the base has in `lora.target_modules`"),
        "no-gradient": ("adapter matrices receive no gradient", 'try quantization = "none", or another bitsandbytes'),
        "adapter": ("an adapter cannot be loaded as it was written", "remove that generation and train it again"),
        "adapter-changed": ("an adapter is not the one that was recorded", "restore it, or train anew with `--out`"),
        "adapter-nan": ("the adapter holds NaN", "lower the learning rate"),
        "adapter-unmoved": ("the adapter did not move", "raise the learning rate or the number of epochs"),
        "adapter-off": ("the adapter is loaded and changes nothing", "use another version of peft"),
        "training-nan": ("the loss is not finite", "lower the learning rate"),
        "no-stop": ("generation 0 never ends a text", "give texts an end within the context, or raise max_new_tokens"),
        "nothing-written": ("a generation wrote nothing that can be learned", "this is collapse: audit what there is"),
        "memory": ("the memory is too small", "lower `batch_size`, set `gradient_checkpointing = true`"),
        "unwritable": ("a lineage's folder may not be written to", "see to that, and run the same command again"),
        "disk": ("the disk is full", "free space and run the same command again: it goes on where it stopped"),
    },
    "Preparing and describing": {
        "no-description-stack": (
            "what `describe` needs is not installed",
            "`pip install 'collapse-audit[describe]'`",
        ),
        "no-preparation-stack": (
            "what `prepare` or a mixture of numbers needs is not installed",
            "`pip install 'collapse-audit[prepare]'`",
        ),
        "unknown-encoding": (
            "the file is neither UTF-8, nor UTF-16, nor Russian in cp1251",
            "name its encoding with `--encoding`, or save it as UTF-8",
        ),
        "unnamed-column": ("a column has no name", "write one into the first row"),
        "merged-header": ("cells of the header are merged", "give every column a name of its own"),
        "nothing-prepared": ("no row is left", "see the reasons in the message; `--text` or `--label` may be wrong"),
        "too-few-patients": ("there are too few patients to split", "bring more reports, or `--group none`"),
    },
    "Scoring and evaluating": {
        "score": ("a file is to be scored and something is not named", "add `--scorer MODEL` and `--out FILE`"),
        "scorer": ("the scorer cannot be loaded or has no end of text", "name a causal language model, or a lineage"),
        "scorer-tokenizer": ("tokenizer and model of the scorer do not fit", "bring the two that belong together"),
        "scorer-nan": ("the scorer answers NaN", "bring another copy of the model, or load it in another precision"),
        "in-place": ("files cannot be changed where they are", "write elsewhere with `--out`"),
        "no-generation-0": ("there is no generation 0 to score with", "name a model with `--scorer`"),
        "no-contexts": ("no human text is held back to ask about", "add `reference.holdout.*`"),
        "no-decoding": ("the manifest does not say how a generation was decoded", "add its `decoding`"),
        "no-holdout": (
            "no human text is held out to measure on",
            "add `reference.holdout.*`; to evaluate, or name `--task`",
        ),
        "embed": ("the sentence-embedding model cannot be found or loaded", "name a folder or an installed package"),
        "no-embed": ("sentence-transformers is not installed", "`pip install 'collapse-audit[embed]'`"),
        "no-lm-eval": ("lm-eval is not installed", "`pip install 'collapse-audit[eval,train]'`"),
        "task": ("a task file is not there", "correct its path"),
    },
    "Probes and reports": {
        "error": ("something a person can act on went wrong", "do what the message says"),
        "too-many-labels": (
            "nearly every text has a label of its own",
            "name coarser labels by `--labels regex:…`, another field by `--label FIELD`, or `--labels none`",
        ),
        "engine": (
            "the cluster that read or measured is gone",
            "start it anew with more memory, or use `--engine local`",
        ),
        "probe": ("a probe crashed or broke its contract", "correct the probe; the message names what it returned"),
        "tracker": (
            "a warning: the report could not be logged; the verdict and its exit code stand",
            "check the tracker's settings",
        ),
        "audit-in-training": ("an audit during a training could not be made", "do what the message says"),
        "not-finite": ("a probe put a number into a report that is not finite", "return NotMeasured instead"),
        "not-plain": (
            "a probe put something into a report that JSON cannot hold",
            "use text, numbers, lists, mappings",
        ),
    },
}
"""Section -> slug -> what the error says, what to do."""


def message(slug: str) -> str | None:
    """What the error ``slug`` says and what to do about it, as plain text; None where no error is called so."""
    for section, errors in MESSAGES.items():
        if slug in errors:
            meaning, remedy = errors[slug]
            return f"{slug} ({section})\n\n{meaning}\n\nWhat to do\n    {remedy}\n"
    return None
