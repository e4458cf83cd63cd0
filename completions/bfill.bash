# bash completion for bfill, written from its command line by: python -m backfill_cli.cli.completions
# Load it:  source <(bfill completion bash)
# Keep it:  bfill completion bash > ~/.local/share/bash-completion/completions/bfill

# the commands below one
_bfill_below() {
    case "$1" in
        "") echo "plan run rerun-failed reset scheduler pause resume cancel set skip status logs explain audit dags pools store scenario completion" ;;
        "audit") echo "verify report" ;;
        "dags") echo "list show validate pause unpause" ;;
        "pools") echo "list set delete" ;;
        "store") echo "check backup prune" ;;
        "scenario") echo "list show run" ;;
    esac
}

# the flags of a command
_bfill_flags() {
    case "$1" in
        "") echo "-V --version --help" ;;
        "plan") echo "--dag --command --schedule --name --timezone --start --end --last --dates --dates-from --include-incomplete --ignore-dag-bounds --limit --parallel --workers --max-runs --executor --fail-fast --max-failures --max-duration --deadline --orphans --on-conflict --task --run-backwards --ignore-first-depends-on-past --strict-templates --chunk --chunk-failures --pilot --ramp --between --parallel-min --target-latency --probe --reprocess --reset-dag-run --dry-run --detailed-exitcode --store --conf --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "run") echo "--dag --command --schedule --name --timezone --start --end --last --dates --dates-from --include-incomplete --ignore-dag-bounds --limit --parallel --workers --max-runs --executor --fail-fast --max-failures --max-duration --deadline --orphans --on-conflict --task --run-backwards --ignore-first-depends-on-past --strict-templates --chunk --chunk-failures --pilot --ramp --between --parallel-min --target-latency --probe --reprocess --reset-dag-run --dry-run --events --on-event --junit --store --conf --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "rerun-failed") echo "--dag --command --schedule --name --timezone --start --end --last --dates --dates-from --include-incomplete --ignore-dag-bounds --limit --parallel --workers --max-runs --executor --fail-fast --max-failures --max-duration --deadline --orphans --on-conflict --task --run-backwards --ignore-first-depends-on-past --strict-templates --chunk --chunk-failures --pilot --ramp --between --parallel-min --target-latency --probe --whole-run --dry-run --events --on-event --junit --store --conf --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "reset") echo "--dag --command --schedule --name --timezone --start --end --last --dates --dates-from --include-incomplete --ignore-dag-bounds --limit --task --downstream --where --orphans --store --conf --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "scheduler") echo "--dag --once --now --until --parallel --workers --executor --orphans --events --on-event --store --conf --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "pause") echo "--store --conf --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "resume") echo "--store --conf --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "cancel") echo "--drain --store --conf --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "set") echo "--store --conf --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "skip") echo "--store --conf --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "status") echo "--dag --command --schedule --name --timezone --start --end --last --dates --dates-from --include-incomplete --ignore-dag-bounds --where --gaps --watch --limit --after --store --json -q --quiet -v --verbose --no-color --help" ;;
        "logs") echo "--dag --try --store --json -q --quiet -v --verbose --no-color --help" ;;
        "explain") echo "--dag --task --store --json -q --quiet -v --verbose --no-color --help" ;;
        "audit") echo "--actor --action --target --since --until --limit --store --json -q --quiet -v --verbose --no-color --help" ;;
        "audit verify") echo "--expect-head --store --json -q --quiet -v --verbose --no-color --help" ;;
        "audit report") echo "--since --until --dag --target --actor --format --out --store --json -q --quiet -v --verbose --no-color --help" ;;
        "dags") echo "--help" ;;
        "dags list") echo "--store --json -q --quiet -v --verbose --no-color --help" ;;
        "dags show") echo "--store --json -q --quiet -v --verbose --no-color --help" ;;
        "dags validate") echo "--store --json -q --quiet -v --verbose --no-color --help" ;;
        "dags pause") echo "--store --conf --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "dags unpause") echo "--store --conf --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "pools") echo "--help" ;;
        "pools list") echo "--store --json -q --quiet -v --verbose --no-color --help" ;;
        "pools set") echo "--description --store --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "pools delete") echo "--store --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "store") echo "--help" ;;
        "store check") echo "--store --json -q --quiet -v --verbose --no-color --help" ;;
        "store backup") echo "--store --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "store prune") echo "--older-than --dag --dry-run --store --reason -y --yes --json -q --quiet -v --verbose --no-color --help" ;;
        "scenario") echo "--help" ;;
        "scenario list") echo "--tag --store --json -q --quiet -v --verbose --no-color --help" ;;
        "scenario show") echo "--store --json -q --quiet -v --verbose --no-color --help" ;;
        "scenario run") echo "--all --tag --keep --store --json -q --quiet -v --verbose --no-color --help" ;;
        "completion") echo "--store --json -q --quiet -v --verbose --no-color --help" ;;
    esac
}

# what the arguments of a command are
_bfill_argument() {
    case "$1" in
        "run") echo "backfills" ;;
        "rerun-failed") echo "backfills" ;;
        "reset") echo "backfills" ;;
        "pause") echo "backfills" ;;
        "resume") echo "backfills" ;;
        "cancel") echo "backfills" ;;
        "set") echo "set-words" ;;
        "skip") echo "skip-words" ;;
        "status") echo "backfills" ;;
        "logs") echo "log-words" ;;
        "explain") echo "date-words" ;;
        "dags show") echo "dags" ;;
        "dags validate") echo "dags" ;;
        "dags pause") echo "dags" ;;
        "dags unpause") echo "dags" ;;
        "pools set") echo "pools" ;;
        "pools delete") echo "pools" ;;
        "store backup") echo "files" ;;
        "scenario show") echo "scenarios" ;;
        "scenario run") echo "scenarios" ;;
        "completion") echo "shells" ;;
    esac
}

# what the value of a flag is; nothing for a switch
_bfill_kind() {
    case "$1" in
        --action) echo "actions" ;;
        --actor) echo "nothing" ;;
        --after) echo "dates" ;;
        --between) echo "hours" ;;
        --chunk) echo "chunks" ;;
        --chunk-failures) echo "chunk-failures" ;;
        --command) echo "nothing" ;;
        --conf) echo "nothing" ;;
        --dag) echo "dags" ;;
        --dates) echo "date-list" ;;
        --dates-from) echo "files" ;;
        --deadline) echo "nothing" ;;
        --description) echo "nothing" ;;
        --end) echo "dates" ;;
        --events) echo "files" ;;
        --executor) echo "executors" ;;
        --expect-head) echo "nothing" ;;
        --format) echo "formats" ;;
        --junit) echo "files" ;;
        --last) echo "spans" ;;
        --limit) echo "nothing" ;;
        --max-duration) echo "durations" ;;
        --max-failures) echo "failures" ;;
        --max-runs) echo "nothing" ;;
        --name) echo "nothing" ;;
        --now) echo "nothing" ;;
        --older-than) echo "ages" ;;
        --on-conflict) echo "conflicts" ;;
        --on-event) echo "nothing" ;;
        --orphans) echo "orphans" ;;
        --out) echo "files" ;;
        --parallel) echo "nothing" ;;
        --parallel-min) echo "nothing" ;;
        --pilot) echo "nothing" ;;
        --probe) echo "nothing" ;;
        --reason) echo "nothing" ;;
        --reprocess) echo "reprocess" ;;
        --schedule) echo "presets" ;;
        --since) echo "dates" ;;
        --start) echo "dates" ;;
        --store) echo "files" ;;
        --tag) echo "tags" ;;
        --target) echo "targets" ;;
        --target-latency) echo "latencies" ;;
        --task) echo "tasks" ;;
        --timezone) echo "zones" ;;
        --try) echo "nothing" ;;
        --until) echo "dates" ;;
        --where) echo "states" ;;
        --workers) echo "nothing" ;;
    esac
}

# what stands behind a kind of value
_bfill_values() {
    case "$1" in
        actions) _bfill_offer actions "" "plan" "run" "rerun-failed" "reset" "pause" "resume" "cancel" "set" "skip" "pools set" "pools delete" ;;
        ages) _bfill_offer ages "" "30d" "90d" "180d" "365d" ;;
        backfills) _bfill_offer backfills "" ;;
        chunk-failures) _bfill_offer chunk-failures "" "stop" "skip" "10%" ;;
        chunks) _bfill_offer chunks "" "7d" "30d" "30" "auto" ;;
        conflicts) _bfill_offer conflicts "" "fail" "wait" "skip" "cancel-other" ;;
        dags) _bfill_offer dags ""; ((${#COMPREPLY[@]})) || _bfill_files '*.py' ;;
        date-list) _bfill_offer date-list "list" ;;
        date-words) _bfill_offer date-words "" ;;
        dates) _bfill_offer dates "" ;;
        durations) _bfill_offer durations "" "30m" "1h" "2h" "8h" ;;
        executors) _bfill_offer executors "" "thread" "process" ;;
        failures) _bfill_offer failures "" "1" "5" "5%" "10%" ;;
        files) _bfill_files '*' ;;
        formats) _bfill_offer formats "" "md" "html" "json" "csv" ;;
        hours) _bfill_offer hours "" "22:00-06:00" ;;
        latencies) _bfill_offer latencies "" "1s" "2s" "10s" "1m" ;;
        log-words) _bfill_offer log-words "" ;;
        nothing) : ;;
        orphans) _bfill_offer orphans "" "end" "wait" "leave" ;;
        pools) _bfill_offer pools "" ;;
        presets) _bfill_offer presets "" "@hourly" "@daily" "@weekly" "@monthly" "@quarterly" "@yearly" ;;
        reprocess) _bfill_offer reprocess "list" "failed" "success" "completed" "stale" "all" ;;
        scenarios) _bfill_offer scenarios "" ;;
        set-words) _bfill_offer set-words "" ;;
        shells) _bfill_offer shells "" "bash" "zsh" "fish" ;;
        skip-words) _bfill_offer skip-words "" ;;
        spans) _bfill_offer spans "" "1d" "7d" "30d" "90d" "6h" ;;
        states) _bfill_offer states "list" "queued" "running" "success" "failed" "scheduled" "skipped" "upstream_failed" "up_for_retry" "removed" "blocked" "interrupted" "cleared" "partial" "missing" "stale" "remaining" "planned" "paused" "cancelled" ;;
        tags) _bfill_offer tags "" ;;
        targets) _bfill_offer targets "" ;;
        tasks) _bfill_offer tasks "" ;;
        zones) _bfill_offer zones "" ;;
    esac
}

# Fill COMPREPLY with what begins as $cur does, among the words given or, without any, those of `bfill __complete`.
_bfill_offer() {
    local kind=$1 list=$2 head="" begun=$value word
    shift 2
    if [[ -n $list && $value == *,* ]]; then
        head=${value%,*},
        begun=${value##*,}
    fi
    if (($#)); then
        for word in "$@"; do
            [[ $word == "$begun"* ]] && COMPREPLY+=("$ahead$head$word")
        done
    else
        while IFS=$'\t' read -r word _; do
            COMPREPLY+=("$ahead$head$word")
        done < <("${words[0]/#\~/$HOME}" __complete "$kind" "$begun" "${given[@]}" 2>/dev/null)
    fi
    compopt -o nosort 2>/dev/null
}

_bfill_files() {
    local name
    while IFS= read -r name; do
        [[ $name == $1 || -d $name ]] && COMPREPLY+=("$ahead$name")
    done < <(compgen -f -- "$value")
    compopt -o filenames 2>/dev/null
}

_bfill() {
    local cur="" value="" ahead="" path="" flag="" ended="" line word kind cut="" i
    local -a words=() given=()
    COMPREPLY=()

    # Bash splits words at ':' and '=' as well; what stands together on the line is put together again.
    line=${COMP_LINE:0:COMP_POINT}
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ ${#words[@]} -eq 0 || $line == [[:space:]]* ]]; then
            line=${line#"${line%%[![:space:]]*}"}
            words+=("")
        fi
        ((i == COMP_CWORD)) && word=$line
        words[${#words[@]} - 1]+=$word
        line=${line#"$word"}
    done
    cur=${words[${#words[@]} - 1]}
    given=("${words[@]:1:${#words[@]}-2}")

    # Which command is this, and is its last word a flag that waits for a value?
    for word in "${given[@]}"; do
        if [[ -n $flag ]]; then
            flag=""
        elif [[ $word == -- ]]; then
            ended=1
        elif [[ -z $ended && $word == -* ]]; then
            [[ $word != *=* && -n $(_bfill_kind "$word") ]] && flag=$word
        elif [[ " $(_bfill_below "$path") " == *" $word "* ]]; then
            path=${path:+$path }$word
        fi
    done

    value=$cur
    if [[ -n $flag ]]; then
        kind=$(_bfill_kind "$flag")
    elif [[ -z $ended && $cur == --*=* ]]; then
        kind=$(_bfill_kind "${cur%%=*}")
        ahead=${cur%%=*}=
        value=${cur#*=}
    elif [[ -z $ended && $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$(_bfill_flags "$path")" -- "$cur"))
        return
    else
        kind=$(_bfill_argument "$path")
        COMPREPLY=($(compgen -W "$(_bfill_below "$path")" -- "$cur"))
        compopt -o nosort 2>/dev/null
    fi
    [[ -n $kind ]] && _bfill_values "$kind"

    # Readline replaces only what stands behind the last ':' or '='.
    for word in : =; do
        [[ $COMP_WORDBREAKS == *"$word"* && $cur == *"$word"* ]] || continue
        word=${cur%"${cur##*"$word"}"}
        ((${#word} > ${#cut})) && cut=$word
    done
    [[ -n $cut ]] && COMPREPLY=("${COMPREPLY[@]#"$cut"}")
    return 0
}

complete -F _bfill bfill
