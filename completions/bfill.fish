# fish completion for bfill, written from its command line by: python -m backfill_cli.cli.completions
# Keep it:  bfill completion fish > ~/.config/fish/completions/bfill.fish

set -g __bfill_valued --action --actor --after --between --chunk --chunk-failures --command --conf --dag --dates --dates-from --deadline --description --end --events --executor --expect-head --format --junit --last --limit --max-duration --max-failures --max-runs --name --now --older-than --on-conflict --on-event --orphans --out --parallel --parallel-min --pilot --probe --reason --reprocess --schedule --since --start --store --tag --target --target-latency --task --timezone --try --until --where --workers
set -g __bfill_groups '' 'audit' 'dags' 'pools' 'store' 'scenario'
set -g __bfill_commands 'plan' 'run' 'rerun-failed' 'reset' 'scheduler' 'pause' 'resume' 'cancel' 'set' 'skip' 'status' 'logs' 'explain' 'audit' 'audit verify' 'audit report' 'dags' 'dags list' 'dags show' 'dags validate' 'dags pause' 'dags unpause' 'pools' 'pools list' 'pools set' 'pools delete' 'store' 'store check' 'store backup' 'store prune' 'scenario' 'scenario list' 'scenario show' 'scenario run' 'completion'

# The command the line is at, as its words with blanks between: "", "plan", "audit verify".
function __bfill_path
    set -l path
    set -l skip 0
    for word in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' $word
            contains -- $word $__bfill_valued; and set skip 1
        else if contains -- "$path" $__bfill_groups; and contains -- (string trim -- "$path $word") $__bfill_commands
            set path (string trim -- "$path $word")
        end
    end
    echo "$path"
end

function __bfill_at
    test (__bfill_path) = "$argv[1]"
end

# Candidates of `bfill __complete` for the word at the cursor, best first, each with its note; fails without any.
function __bfill_ask
    set -l tokens (commandline -opc)
    set -l found ($tokens[1] __complete $argv[1] (__bfill_begun) $tokens[2..] 2>/dev/null)
    test (count $found) -gt 0
    and printf '%s\n' $found
end

# The word at the cursor without `--flag=`.
function __bfill_begun
    string replace -r -- '^--[^=]+=' '' (commandline -ct)
end

# Candidates behind the last comma: the words given or, without any, those of `bfill __complete`.
function __bfill_list
    set -l begun (__bfill_begun)
    set -l head (string replace -r -- '[^,]*$' '' "$begun")
    if test (count $argv) -gt 1
        printf '%s\n' $head$argv[2..]
    else
        set -l tokens (commandline -opc)
        for line in ($tokens[1] __complete $argv[1] (string replace -- "$head" '' "$begun") $tokens[2..] 2>/dev/null)
            echo $head$line
        end
    end
end

complete -c bfill -f

# bfill
complete -c bfill -n '__bfill_at ""' -a plan -d 'Show what would happen to each date, why, and how long it takes.'
complete -c bfill -n '__bfill_at ""' -a run -d 'Plan and execute, or resume what was interrupted.'
complete -c bfill -n '__bfill_at ""' -a rerun-failed -d 'Run again what failed, and what was blocked behind it.'
complete -c bfill -n '__bfill_at ""' -a reset -d 'Clear task instances and XComs of dates; start nothing.'
complete -c bfill -n '__bfill_at ""' -a scheduler -d 'Create and run what is due, as of now or any moment.'
complete -c bfill -n '__bfill_at ""' -a pause -d 'Let nothing new start in a running backfill; what runs ends by itself.'
complete -c bfill -n '__bfill_at ""' -a resume -d 'Let a paused backfill go on.'
complete -c bfill -n '__bfill_at ""' -a cancel -d 'End a backfill for good, at once or when what runs has ended.'
complete -c bfill -n '__bfill_at ""' -a set -d 'Change how many dates a running backfill has open together.'
complete -c bfill -n '__bfill_at ""' -a skip -d 'Leave dates out of a backfill in which nothing has begun.'
complete -c bfill -n '__bfill_at ""' -a status -d 'The latest backfills, one of them, or a range of a DAG.'
complete -c bfill -n '__bfill_at ""' -a logs -d 'What the tasks of a date wrote.'
complete -c bfill -n '__bfill_at ""' -a explain -d 'Why one date is taken or left out, and what its tasks wait for.'
complete -c bfill -n '__bfill_at ""' -a audit -d 'Who did what, when, why, and whether that record holds.'
complete -c bfill -n '__bfill_at ""' -a dags -d 'List, show and validate DAG files.'
complete -c bfill -n '__bfill_at ""' -a pools -d 'Limits on what runs at once: how large, who has the slots, what waits.'
complete -c bfill -n '__bfill_at ""' -a store -d 'Check, back up and prune the file where state lives.'
complete -c bfill -n '__bfill_at ""' -a scenario -d 'Lessons to play, read and use as DAGs.'
complete -c bfill -n '__bfill_at ""' -a completion -d 'The completion file of a shell: bash, zsh or fish.'
complete -c bfill -n '__bfill_at ""' -l version -s V -d 'Print the version.'
complete -c bfill -n '__bfill_at ""' -l help -d 'Show this message and exit.'

# bfill plan
complete -c bfill -n '__bfill_at "plan"' -l dag -x -k -a '(__bfill_ask dags; or __fish_complete_suffix .py)' -d 'A dag_id, path/file.py[:dag_id], package.module:name, or a scenario like 17.7.2.'
complete -c bfill -n '__bfill_at "plan"' -l command -x -d 'A one-task DAG on the spot; templates work.'
complete -c bfill -n '__bfill_at "plan"' -l schedule -x -k -a '@hourly @daily @weekly @monthly @quarterly @yearly' -d 'The schedule of --command.'
complete -c bfill -n '__bfill_at "plan"' -l name -x -d 'The dag_id of --command.'
complete -c bfill -n '__bfill_at "plan"' -l timezone -x -k -a '(__bfill_ask zones)' -d 'The zone of --command.'
complete -c bfill -n '__bfill_at "plan"' -l start -x -k -a '(__bfill_ask dates)' -d 'First logical date, included: 2024-03-01, 2024-03-01T14:00, 2024-03-01T14:00+01:00.'
complete -c bfill -n '__bfill_at "plan"' -l end -x -k -a '(__bfill_ask dates)' -d 'Last logical date, included; a date means its whole day.'
complete -c bfill -n '__bfill_at "plan"' -l last -x -k -a '1d 7d 30d 90d 6h' -d '30d, 2w: whole days up to today; 6h, 90m: back from now.'
complete -c bfill -n '__bfill_at "plan"' -l dates -x -k -a '(__bfill_list date-list)' -d 'These dates; a day takes all of its dates.'
complete -c bfill -n '__bfill_at "plan"' -l dates-from -r -F -d 'Dates from a file, one a line.'
complete -c bfill -n '__bfill_at "plan"' -l include-incomplete -d 'Also intervals that are not over.'
complete -c bfill -n '__bfill_at "plan"' -l ignore-dag-bounds -d 'Also dates outside the DAG\'s start_date and end_date.'
complete -c bfill -n '__bfill_at "plan"' -l limit -x -d 'At most N dates, the first in order.'
complete -c bfill -n '__bfill_at "plan"' -l parallel -x -d 'Dates open together (1).'
complete -c bfill -n '__bfill_at "plan"' -l workers -x -d 'Tasks at once (32 threads, on demand).'
complete -c bfill -n '__bfill_at "plan"' -l max-runs -x -d 'Refuse to run more dates (10,000).'
complete -c bfill -n '__bfill_at "plan"' -l executor -x -k -a 'thread process' -d 'Where tasks run: thread (default), process, package.module:factory.'
complete -c bfill -n '__bfill_at "plan"' -l fail-fast -d 'Start nothing new once a date has failed.'
complete -c bfill -n '__bfill_at "plan"' -l max-failures -x -k -a '1 5 5% 10%' -d 'Start nothing new once N dates have failed, or N% of those to do.'
complete -c bfill -n '__bfill_at "plan"' -l max-duration -x -k -a '30m 1h 2h 8h' -d 'Start nothing new after 90m, 2h, 1h30m.'
complete -c bfill -n '__bfill_at "plan"' -l deadline -x -d 'Start nothing new from this moment on.'
complete -c bfill -n '__bfill_at "plan"' -l orphans -x -k -a 'end wait leave' -d 'What a killed bfill left running: end it first (default), wait for it, or leave it.'
complete -c bfill -n '__bfill_at "plan"' -l on-conflict -x -k -a 'fail wait skip cancel-other' -d 'Where another process holds dates: fail (default), wait, skip them, or cancel-other.'
complete -c bfill -n '__bfill_at "plan"' -l task -x -k -a '(__bfill_ask tasks)' -d 'Only these tasks: load, +load (and before), load+ (and behind), load_*. May be repeated.'
complete -c bfill -n '__bfill_at "plan"' -l run-backwards -d 'Newest date first.'
complete -c bfill -n '__bfill_at "plan"' -l ignore-first-depends-on-past -d 'The first date does not look at the date before it.'
complete -c bfill -n '__bfill_at "plan"' -l strict-templates -d 'An unknown name in a template is an error.'
complete -c bfill -n '__bfill_at "plan"' -l chunk -x -k -a '7d 30d 30 auto' -d 'One chunk after another: of whole days, of so many dates, or of about ten minutes. A DAG with batch_intervals runs the consecutive dates of a chunk as one.'
complete -c bfill -n '__bfill_at "plan"' -l chunk-failures -x -k -a 'stop skip 10%' -d 'When dates of a chunk failed: stop (default), go on, or go on up to N% of them.'
complete -c bfill -n '__bfill_at "plan"' -l pilot -x -d 'First N dates (the first, the last, the middle, …), then stop and show what they took.'
complete -c bfill -n '__bfill_at "plan"' -l ramp -d 'Do not stop behind the pilot: go on in growing waves while they are healthy.'
complete -c bfill -n '__bfill_at "plan"' -l between -x -k -a '22:00-06:00' -d 'Start tasks in these hours of the DAG\'s zone only: 22:00-06:00, \'mon-fri 18:00-08:00\'.'
complete -c bfill -n '__bfill_at "plan"' -l parallel-min -x -d 'Find the right number of dates at once, from N up to --parallel: fewer after failures and HTTP 429.'
complete -c bfill -n '__bfill_at "plan"' -l target-latency -x -k -a '1s 2s 10s 1m' -d 'With --parallel-min: fewer when half of the tries take longer than 2s, 300ms, 5m.'
complete -c bfill -n '__bfill_at "plan"' -l probe -x -d 'With --parallel-min: asked every few seconds; fewer when it exits with another status than 0.'
complete -c bfill -n '__bfill_at "plan"' -l reprocess -x -k -a '(__bfill_list reprocess \'failed\' \'success\' \'completed\' \'stale\' \'all\')' -d 'Run again what is failed, success, stale, completed or all; comma-separated.'
complete -c bfill -n '__bfill_at "plan"' -l reset-dag-run -d 'Clear task instances and XComs of each date first.'
complete -c bfill -n '__bfill_at "plan"' -l dry-run -d 'Store nothing.'
complete -c bfill -n '__bfill_at "plan"' -l detailed-exitcode -d 'Exit 0: nothing to do, 10: there is.'
complete -c bfill -n '__bfill_at "plan"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "plan"' -l conf -x -d 'Values for dag_run.conf; may be repeated, later ones win. A KEY=VALUE is text.'
complete -c bfill -n '__bfill_at "plan"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "plan"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "plan"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "plan"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "plan"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "plan"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "plan"' -l help -d 'Show this message and exit.'

# bfill run
complete -c bfill -n '__bfill_at "run"' -k -a '(__bfill_ask backfills)'
complete -c bfill -n '__bfill_at "run"' -l dag -x -k -a '(__bfill_ask dags; or __fish_complete_suffix .py)' -d 'A dag_id, path/file.py[:dag_id], package.module:name, or a scenario like 17.7.2.'
complete -c bfill -n '__bfill_at "run"' -l command -x -d 'A one-task DAG on the spot; templates work.'
complete -c bfill -n '__bfill_at "run"' -l schedule -x -k -a '@hourly @daily @weekly @monthly @quarterly @yearly' -d 'The schedule of --command.'
complete -c bfill -n '__bfill_at "run"' -l name -x -d 'The dag_id of --command.'
complete -c bfill -n '__bfill_at "run"' -l timezone -x -k -a '(__bfill_ask zones)' -d 'The zone of --command.'
complete -c bfill -n '__bfill_at "run"' -l start -x -k -a '(__bfill_ask dates)' -d 'First logical date, included: 2024-03-01, 2024-03-01T14:00, 2024-03-01T14:00+01:00.'
complete -c bfill -n '__bfill_at "run"' -l end -x -k -a '(__bfill_ask dates)' -d 'Last logical date, included; a date means its whole day.'
complete -c bfill -n '__bfill_at "run"' -l last -x -k -a '1d 7d 30d 90d 6h' -d '30d, 2w: whole days up to today; 6h, 90m: back from now.'
complete -c bfill -n '__bfill_at "run"' -l dates -x -k -a '(__bfill_list date-list)' -d 'These dates; a day takes all of its dates.'
complete -c bfill -n '__bfill_at "run"' -l dates-from -r -F -d 'Dates from a file, one a line.'
complete -c bfill -n '__bfill_at "run"' -l include-incomplete -d 'Also intervals that are not over.'
complete -c bfill -n '__bfill_at "run"' -l ignore-dag-bounds -d 'Also dates outside the DAG\'s start_date and end_date.'
complete -c bfill -n '__bfill_at "run"' -l limit -x -d 'At most N dates, the first in order.'
complete -c bfill -n '__bfill_at "run"' -l parallel -x -d 'Dates open together (1).'
complete -c bfill -n '__bfill_at "run"' -l workers -x -d 'Tasks at once (32 threads, on demand).'
complete -c bfill -n '__bfill_at "run"' -l max-runs -x -d 'Refuse to run more dates (10,000).'
complete -c bfill -n '__bfill_at "run"' -l executor -x -k -a 'thread process' -d 'Where tasks run: thread (default), process, package.module:factory.'
complete -c bfill -n '__bfill_at "run"' -l fail-fast -d 'Start nothing new once a date has failed.'
complete -c bfill -n '__bfill_at "run"' -l max-failures -x -k -a '1 5 5% 10%' -d 'Start nothing new once N dates have failed, or N% of those to do.'
complete -c bfill -n '__bfill_at "run"' -l max-duration -x -k -a '30m 1h 2h 8h' -d 'Start nothing new after 90m, 2h, 1h30m.'
complete -c bfill -n '__bfill_at "run"' -l deadline -x -d 'Start nothing new from this moment on.'
complete -c bfill -n '__bfill_at "run"' -l orphans -x -k -a 'end wait leave' -d 'What a killed bfill left running: end it first (default), wait for it, or leave it.'
complete -c bfill -n '__bfill_at "run"' -l on-conflict -x -k -a 'fail wait skip cancel-other' -d 'Where another process holds dates: fail (default), wait, skip them, or cancel-other.'
complete -c bfill -n '__bfill_at "run"' -l task -x -k -a '(__bfill_ask tasks)' -d 'Only these tasks: load, +load (and before), load+ (and behind), load_*. May be repeated.'
complete -c bfill -n '__bfill_at "run"' -l run-backwards -d 'Newest date first.'
complete -c bfill -n '__bfill_at "run"' -l ignore-first-depends-on-past -d 'The first date does not look at the date before it.'
complete -c bfill -n '__bfill_at "run"' -l strict-templates -d 'An unknown name in a template is an error.'
complete -c bfill -n '__bfill_at "run"' -l chunk -x -k -a '7d 30d 30 auto' -d 'One chunk after another: of whole days, of so many dates, or of about ten minutes. A DAG with batch_intervals runs the consecutive dates of a chunk as one.'
complete -c bfill -n '__bfill_at "run"' -l chunk-failures -x -k -a 'stop skip 10%' -d 'When dates of a chunk failed: stop (default), go on, or go on up to N% of them.'
complete -c bfill -n '__bfill_at "run"' -l pilot -x -d 'First N dates (the first, the last, the middle, …), then stop and show what they took.'
complete -c bfill -n '__bfill_at "run"' -l ramp -d 'Do not stop behind the pilot: go on in growing waves while they are healthy.'
complete -c bfill -n '__bfill_at "run"' -l between -x -k -a '22:00-06:00' -d 'Start tasks in these hours of the DAG\'s zone only: 22:00-06:00, \'mon-fri 18:00-08:00\'.'
complete -c bfill -n '__bfill_at "run"' -l parallel-min -x -d 'Find the right number of dates at once, from N up to --parallel: fewer after failures and HTTP 429.'
complete -c bfill -n '__bfill_at "run"' -l target-latency -x -k -a '1s 2s 10s 1m' -d 'With --parallel-min: fewer when half of the tries take longer than 2s, 300ms, 5m.'
complete -c bfill -n '__bfill_at "run"' -l probe -x -d 'With --parallel-min: asked every few seconds; fewer when it exits with another status than 0.'
complete -c bfill -n '__bfill_at "run"' -l reprocess -x -k -a '(__bfill_list reprocess \'failed\' \'success\' \'completed\' \'stale\' \'all\')' -d 'Run again what is failed, success, stale, completed or all; comma-separated.'
complete -c bfill -n '__bfill_at "run"' -l reset-dag-run -d 'Clear task instances and XComs of each date first.'
complete -c bfill -n '__bfill_at "run"' -l dry-run -d 'Show the plan instead; store nothing.'
complete -c bfill -n '__bfill_at "run"' -l events -r -F -d 'What happens, as it happens: one JSON object a line; - is stdout.'
complete -c bfill -n '__bfill_at "run"' -l on-event -x -d 'Who gets each event: an http(s) URL (POST), or a shell command (on its stdin); \'\' is nobody.'
complete -c bfill -n '__bfill_at "run"' -l junit -r -F -d 'A test report, one case a date.'
complete -c bfill -n '__bfill_at "run"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "run"' -l conf -x -d 'Values for dag_run.conf; may be repeated, later ones win. A KEY=VALUE is text.'
complete -c bfill -n '__bfill_at "run"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "run"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "run"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "run"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "run"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "run"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "run"' -l help -d 'Show this message and exit.'

# bfill rerun-failed
complete -c bfill -n '__bfill_at "rerun-failed"' -k -a '(__bfill_ask backfills)'
complete -c bfill -n '__bfill_at "rerun-failed"' -l dag -x -k -a '(__bfill_ask dags; or __fish_complete_suffix .py)' -d 'A dag_id, path/file.py[:dag_id], package.module:name, or a scenario like 17.7.2.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l command -x -d 'A one-task DAG on the spot; templates work.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l schedule -x -k -a '@hourly @daily @weekly @monthly @quarterly @yearly' -d 'The schedule of --command.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l name -x -d 'The dag_id of --command.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l timezone -x -k -a '(__bfill_ask zones)' -d 'The zone of --command.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l start -x -k -a '(__bfill_ask dates)' -d 'First logical date, included: 2024-03-01, 2024-03-01T14:00, 2024-03-01T14:00+01:00.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l end -x -k -a '(__bfill_ask dates)' -d 'Last logical date, included; a date means its whole day.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l last -x -k -a '1d 7d 30d 90d 6h' -d '30d, 2w: whole days up to today; 6h, 90m: back from now.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l dates -x -k -a '(__bfill_list date-list)' -d 'These dates; a day takes all of its dates.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l dates-from -r -F -d 'Dates from a file, one a line.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l include-incomplete -d 'Also intervals that are not over.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l ignore-dag-bounds -d 'Also dates outside the DAG\'s start_date and end_date.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l limit -x -d 'At most N dates, the first in order.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l parallel -x -d 'Dates open together (1).'
complete -c bfill -n '__bfill_at "rerun-failed"' -l workers -x -d 'Tasks at once (32 threads, on demand).'
complete -c bfill -n '__bfill_at "rerun-failed"' -l max-runs -x -d 'Refuse to run more dates (10,000).'
complete -c bfill -n '__bfill_at "rerun-failed"' -l executor -x -k -a 'thread process' -d 'Where tasks run: thread (default), process, package.module:factory.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l fail-fast -d 'Start nothing new once a date has failed.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l max-failures -x -k -a '1 5 5% 10%' -d 'Start nothing new once N dates have failed, or N% of those to do.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l max-duration -x -k -a '30m 1h 2h 8h' -d 'Start nothing new after 90m, 2h, 1h30m.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l deadline -x -d 'Start nothing new from this moment on.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l orphans -x -k -a 'end wait leave' -d 'What a killed bfill left running: end it first (default), wait for it, or leave it.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l on-conflict -x -k -a 'fail wait skip cancel-other' -d 'Where another process holds dates: fail (default), wait, skip them, or cancel-other.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l task -x -k -a '(__bfill_ask tasks)' -d 'Only these tasks: load, +load (and before), load+ (and behind), load_*. May be repeated.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l run-backwards -d 'Newest date first.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l ignore-first-depends-on-past -d 'The first date does not look at the date before it.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l strict-templates -d 'An unknown name in a template is an error.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l chunk -x -k -a '7d 30d 30 auto' -d 'One chunk after another: of whole days, of so many dates, or of about ten minutes. A DAG with batch_intervals runs the consecutive dates of a chunk as one.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l chunk-failures -x -k -a 'stop skip 10%' -d 'When dates of a chunk failed: stop (default), go on, or go on up to N% of them.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l pilot -x -d 'First N dates (the first, the last, the middle, …), then stop and show what they took.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l ramp -d 'Do not stop behind the pilot: go on in growing waves while they are healthy.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l between -x -k -a '22:00-06:00' -d 'Start tasks in these hours of the DAG\'s zone only: 22:00-06:00, \'mon-fri 18:00-08:00\'.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l parallel-min -x -d 'Find the right number of dates at once, from N up to --parallel: fewer after failures and HTTP 429.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l target-latency -x -k -a '1s 2s 10s 1m' -d 'With --parallel-min: fewer when half of the tries take longer than 2s, 300ms, 5m.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l probe -x -d 'With --parallel-min: asked every few seconds; fewer when it exits with another status than 0.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l whole-run -d 'All tasks, not just failed ones.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l dry-run -d 'Show the plan instead; store nothing.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l events -r -F -d 'What happens, as it happens: one JSON object a line; - is stdout.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l on-event -x -d 'Who gets each event: an http(s) URL (POST), or a shell command (on its stdin); \'\' is nobody.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l junit -r -F -d 'A test report, one case a date.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "rerun-failed"' -l conf -x -d 'Values for dag_run.conf; may be repeated, later ones win. A KEY=VALUE is text.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "rerun-failed"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "rerun-failed"' -l help -d 'Show this message and exit.'

# bfill reset
complete -c bfill -n '__bfill_at "reset"' -k -a '(__bfill_ask backfills)'
complete -c bfill -n '__bfill_at "reset"' -l dag -x -k -a '(__bfill_ask dags; or __fish_complete_suffix .py)' -d 'A dag_id, path/file.py[:dag_id], package.module:name, or a scenario like 17.7.2.'
complete -c bfill -n '__bfill_at "reset"' -l command -x -d 'A one-task DAG on the spot; templates work.'
complete -c bfill -n '__bfill_at "reset"' -l schedule -x -k -a '@hourly @daily @weekly @monthly @quarterly @yearly' -d 'The schedule of --command.'
complete -c bfill -n '__bfill_at "reset"' -l name -x -d 'The dag_id of --command.'
complete -c bfill -n '__bfill_at "reset"' -l timezone -x -k -a '(__bfill_ask zones)' -d 'The zone of --command.'
complete -c bfill -n '__bfill_at "reset"' -l start -x -k -a '(__bfill_ask dates)' -d 'First logical date, included: 2024-03-01, 2024-03-01T14:00, 2024-03-01T14:00+01:00.'
complete -c bfill -n '__bfill_at "reset"' -l end -x -k -a '(__bfill_ask dates)' -d 'Last logical date, included; a date means its whole day.'
complete -c bfill -n '__bfill_at "reset"' -l last -x -k -a '1d 7d 30d 90d 6h' -d '30d, 2w: whole days up to today; 6h, 90m: back from now.'
complete -c bfill -n '__bfill_at "reset"' -l dates -x -k -a '(__bfill_list date-list)' -d 'These dates; a day takes all of its dates.'
complete -c bfill -n '__bfill_at "reset"' -l dates-from -r -F -d 'Dates from a file, one a line.'
complete -c bfill -n '__bfill_at "reset"' -l include-incomplete -d 'Also intervals that are not over.'
complete -c bfill -n '__bfill_at "reset"' -l ignore-dag-bounds -d 'Also dates outside the DAG\'s start_date and end_date.'
complete -c bfill -n '__bfill_at "reset"' -l limit -x -d 'At most N dates, the first in order.'
complete -c bfill -n '__bfill_at "reset"' -l task -x -k -a '(__bfill_ask tasks)' -d 'Only these tasks: load, load+, load_*. May be repeated.'
complete -c bfill -n '__bfill_at "reset"' -l downstream -d 'And all tasks behind them.'
complete -c bfill -n '__bfill_at "reset"' -l where -x -k -a '(__bfill_list states \'queued\' \'running\' \'success\' \'failed\' \'scheduled\' \'skipped\' \'upstream_failed\' \'up_for_retry\' \'removed\' \'blocked\' \'interrupted\' \'cleared\' \'partial\' \'missing\' \'stale\' \'remaining\' \'planned\' \'paused\' \'cancelled\')' -d 'Only what is in this state; may be repeated.'
complete -c bfill -n '__bfill_at "reset"' -l orphans -x -k -a 'end wait leave' -d 'What a killed bfill left running: end it first (default), wait for it, or leave it.'
complete -c bfill -n '__bfill_at "reset"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "reset"' -l conf -x -d 'Values for dag_run.conf; may be repeated, later ones win. A KEY=VALUE is text.'
complete -c bfill -n '__bfill_at "reset"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "reset"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "reset"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "reset"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "reset"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "reset"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "reset"' -l help -d 'Show this message and exit.'

# bfill scheduler
complete -c bfill -n '__bfill_at "scheduler"' -l dag -x -k -a '(__bfill_ask dags; or __fish_complete_suffix .py)' -d 'Only this DAG; may be repeated. All of the dags folders without one.'
complete -c bfill -n '__bfill_at "scheduler"' -l once -d 'One pass: run what is due to its end, and leave.'
complete -c bfill -n '__bfill_at "scheduler"' -l now -x -d 'Decide what is due as of this moment.'
complete -c bfill -n '__bfill_at "scheduler"' -l until -x -k -a '(__bfill_ask dates)' -d 'Leave behind this moment; with --now, play the time to here without waiting.'
complete -c bfill -n '__bfill_at "scheduler"' -l parallel -x -d 'DAGs run side by side (16).'
complete -c bfill -n '__bfill_at "scheduler"' -l workers -x -d 'Tasks at once, a DAG (32).'
complete -c bfill -n '__bfill_at "scheduler"' -l executor -x -k -a 'thread process' -d 'Where tasks run: thread (default), process, package.module:factory.'
complete -c bfill -n '__bfill_at "scheduler"' -l orphans -x -k -a 'end wait leave' -d 'What a killed bfill left running: end it first (default), wait for it, or leave it.'
complete -c bfill -n '__bfill_at "scheduler"' -l events -r -F -d 'What happens, as it happens: one JSON object a line; - is stdout.'
complete -c bfill -n '__bfill_at "scheduler"' -l on-event -x -d 'Who gets each event: an http(s) URL (POST), or a shell command (on its stdin); \'\' is nobody.'
complete -c bfill -n '__bfill_at "scheduler"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "scheduler"' -l conf -x -d 'Values for dag_run.conf; may be repeated, later ones win. A KEY=VALUE is text.'
complete -c bfill -n '__bfill_at "scheduler"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "scheduler"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "scheduler"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "scheduler"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "scheduler"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "scheduler"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "scheduler"' -l help -d 'Show this message and exit.'

# bfill pause
complete -c bfill -n '__bfill_at "pause"' -k -a '(__bfill_ask backfills)'
complete -c bfill -n '__bfill_at "pause"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "pause"' -l conf -x -d 'Values for dag_run.conf; may be repeated, later ones win. A KEY=VALUE is text.'
complete -c bfill -n '__bfill_at "pause"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "pause"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "pause"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "pause"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "pause"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "pause"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "pause"' -l help -d 'Show this message and exit.'

# bfill resume
complete -c bfill -n '__bfill_at "resume"' -k -a '(__bfill_ask backfills)'
complete -c bfill -n '__bfill_at "resume"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "resume"' -l conf -x -d 'Values for dag_run.conf; may be repeated, later ones win. A KEY=VALUE is text.'
complete -c bfill -n '__bfill_at "resume"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "resume"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "resume"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "resume"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "resume"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "resume"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "resume"' -l help -d 'Show this message and exit.'

# bfill cancel
complete -c bfill -n '__bfill_at "cancel"' -k -a '(__bfill_ask backfills)'
complete -c bfill -n '__bfill_at "cancel"' -l drain -d 'Let running tasks end by themselves.'
complete -c bfill -n '__bfill_at "cancel"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "cancel"' -l conf -x -d 'Values for dag_run.conf; may be repeated, later ones win. A KEY=VALUE is text.'
complete -c bfill -n '__bfill_at "cancel"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "cancel"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "cancel"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "cancel"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "cancel"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "cancel"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "cancel"' -l help -d 'Show this message and exit.'

# bfill set
complete -c bfill -n '__bfill_at "set"' -k -a '(__bfill_ask set-words)'
complete -c bfill -n '__bfill_at "set"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "set"' -l conf -x -d 'Values for dag_run.conf; may be repeated, later ones win. A KEY=VALUE is text.'
complete -c bfill -n '__bfill_at "set"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "set"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "set"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "set"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "set"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "set"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "set"' -l help -d 'Show this message and exit.'

# bfill skip
complete -c bfill -n '__bfill_at "skip"' -k -a '(__bfill_ask skip-words)'
complete -c bfill -n '__bfill_at "skip"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "skip"' -l conf -x -d 'Values for dag_run.conf; may be repeated, later ones win. A KEY=VALUE is text.'
complete -c bfill -n '__bfill_at "skip"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "skip"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "skip"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "skip"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "skip"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "skip"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "skip"' -l help -d 'Show this message and exit.'

# bfill status
complete -c bfill -n '__bfill_at "status"' -k -a '(__bfill_ask backfills)'
complete -c bfill -n '__bfill_at "status"' -l dag -x -k -a '(__bfill_ask dags; or __fish_complete_suffix .py)' -d 'A dag_id, path/file.py[:dag_id], package.module:name, or a scenario like 17.7.2.'
complete -c bfill -n '__bfill_at "status"' -l command -x -d 'A one-task DAG on the spot; templates work.'
complete -c bfill -n '__bfill_at "status"' -l schedule -x -k -a '@hourly @daily @weekly @monthly @quarterly @yearly' -d 'The schedule of --command.'
complete -c bfill -n '__bfill_at "status"' -l name -x -d 'The dag_id of --command.'
complete -c bfill -n '__bfill_at "status"' -l timezone -x -k -a '(__bfill_ask zones)' -d 'The zone of --command.'
complete -c bfill -n '__bfill_at "status"' -l start -x -k -a '(__bfill_ask dates)' -d 'First logical date, included: 2024-03-01, 2024-03-01T14:00, 2024-03-01T14:00+01:00.'
complete -c bfill -n '__bfill_at "status"' -l end -x -k -a '(__bfill_ask dates)' -d 'Last logical date, included; a date means its whole day.'
complete -c bfill -n '__bfill_at "status"' -l last -x -k -a '1d 7d 30d 90d 6h' -d '30d, 2w: whole days up to today; 6h, 90m: back from now.'
complete -c bfill -n '__bfill_at "status"' -l dates -x -k -a '(__bfill_list date-list)' -d 'These dates; a day takes all of its dates.'
complete -c bfill -n '__bfill_at "status"' -l dates-from -r -F -d 'Dates from a file, one a line.'
complete -c bfill -n '__bfill_at "status"' -l include-incomplete -d 'Also intervals that are not over.'
complete -c bfill -n '__bfill_at "status"' -l ignore-dag-bounds -d 'Also dates outside the DAG\'s start_date and end_date.'
complete -c bfill -n '__bfill_at "status"' -l where -x -k -a '(__bfill_list states \'queued\' \'running\' \'success\' \'failed\' \'scheduled\' \'skipped\' \'upstream_failed\' \'up_for_retry\' \'removed\' \'blocked\' \'interrupted\' \'cleared\' \'partial\' \'missing\' \'stale\' \'remaining\' \'planned\' \'paused\' \'cancelled\')' -d 'Only dates in this state; may be repeated.'
complete -c bfill -n '__bfill_at "status"' -l gaps -d 'Only what is missing.'
complete -c bfill -n '__bfill_at "status"' -l watch -d 'Redraw until it ends.'
complete -c bfill -n '__bfill_at "status"' -l limit -x -d 'At most N dates a page.'
complete -c bfill -n '__bfill_at "status"' -l after -x -k -a '(__bfill_ask dates)' -d 'Go on behind this logical date.'
complete -c bfill -n '__bfill_at "status"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "status"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "status"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "status"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "status"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "status"' -l help -d 'Show this message and exit.'

# bfill logs
complete -c bfill -n '__bfill_at "logs"' -k -a '(__bfill_ask log-words)'
complete -c bfill -n '__bfill_at "logs"' -l dag -x -k -a '(__bfill_ask dags; or __fish_complete_suffix .py)' -d 'The DAG, in place of an id.'
complete -c bfill -n '__bfill_at "logs"' -l try -x -d 'Only this try, from 1.'
complete -c bfill -n '__bfill_at "logs"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "logs"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "logs"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "logs"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "logs"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "logs"' -l help -d 'Show this message and exit.'

# bfill explain
complete -c bfill -n '__bfill_at "explain"' -k -a '(__bfill_ask date-words)'
complete -c bfill -n '__bfill_at "explain"' -l dag -x -k -a '(__bfill_ask dags; or __fish_complete_suffix .py)' -d 'The DAG, in place of an id.'
complete -c bfill -n '__bfill_at "explain"' -l task -x -k -a '(__bfill_ask tasks)' -d 'Only these tasks: load, +load, load+, load_*. May be repeated.'
complete -c bfill -n '__bfill_at "explain"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "explain"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "explain"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "explain"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "explain"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "explain"' -l help -d 'Show this message and exit.'

# bfill audit
complete -c bfill -n '__bfill_at "audit"' -a verify -d 'Check that the chain holds, and history with it.'
complete -c bfill -n '__bfill_at "audit"' -a report -d 'Who, what, why, failures, repairs: as md, html, json or csv.'
complete -c bfill -n '__bfill_at "audit"' -l actor -x -d 'Done by.'
complete -c bfill -n '__bfill_at "audit"' -l action -x -k -a 'plan run rerun-failed reset pause resume cancel set skip pools set pools delete' -d 'What was done: run, reset…'
complete -c bfill -n '__bfill_at "audit"' -l target -x -k -a '(__bfill_ask targets)' -d 'A DAG or a backfill.'
complete -c bfill -n '__bfill_at "audit"' -l since -x -k -a '(__bfill_ask dates)' -d 'From here on, included.'
complete -c bfill -n '__bfill_at "audit"' -l until -x -k -a '(__bfill_ask dates)' -d 'Up to here, included.'
complete -c bfill -n '__bfill_at "audit"' -l limit -x -d 'At most the latest N.'
complete -c bfill -n '__bfill_at "audit"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "audit"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "audit"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "audit"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "audit"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "audit"' -l help -d 'Show this message and exit.'

# bfill audit verify
complete -c bfill -n '__bfill_at "audit verify"' -l expect-head -x -d 'A head kept elsewhere; it must be in the chain.'
complete -c bfill -n '__bfill_at "audit verify"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "audit verify"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "audit verify"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "audit verify"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "audit verify"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "audit verify"' -l help -d 'Show this message and exit.'

# bfill audit report
complete -c bfill -n '__bfill_at "audit report"' -l since -x -k -a '(__bfill_ask dates)' -d 'From here on, included.'
complete -c bfill -n '__bfill_at "audit report"' -l until -x -k -a '(__bfill_ask dates)' -d 'Up to here, included.'
complete -c bfill -n '__bfill_at "audit report"' -l dag -x -k -a '(__bfill_ask dags; or __fish_complete_suffix .py)' -d 'A DAG: its backfills and resets.'
complete -c bfill -n '__bfill_at "audit report"' -l target -x -k -a '(__bfill_ask targets)' -d 'A DAG or a backfill.'
complete -c bfill -n '__bfill_at "audit report"' -l actor -x -d 'Done by, through sudo or not.'
complete -c bfill -n '__bfill_at "audit report"' -l format -x -k -a 'md html json csv' -d 'md (default), html, json or csv; else by the name of --out.'
complete -c bfill -n '__bfill_at "audit report"' -l out -r -F -d 'A private file (0600), replaced in one step; - is stdout.'
complete -c bfill -n '__bfill_at "audit report"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "audit report"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "audit report"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "audit report"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "audit report"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "audit report"' -l help -d 'Show this message and exit.'

# bfill dags
complete -c bfill -n '__bfill_at "dags"' -a list -d 'The DAGs of the dags folders.'
complete -c bfill -n '__bfill_at "dags"' -a show -d 'One DAG: schedule, limits, tasks, what has run.'
complete -c bfill -n '__bfill_at "dags"' -a validate -d 'Load DAG files and say what is wrong with them.'
complete -c bfill -n '__bfill_at "dags"' -a pause -d 'Let the scheduler create nothing for a DAG.'
complete -c bfill -n '__bfill_at "dags"' -a unpause -d 'Let the scheduler go on with a DAG.'
complete -c bfill -n '__bfill_at "dags"' -l help -d 'Show this message and exit.'

# bfill dags list
complete -c bfill -n '__bfill_at "dags list"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "dags list"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "dags list"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "dags list"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "dags list"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "dags list"' -l help -d 'Show this message and exit.'

# bfill dags show
complete -c bfill -n '__bfill_at "dags show"' -k -a '(__bfill_ask dags; or __fish_complete_suffix .py)'
complete -c bfill -n '__bfill_at "dags show"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "dags show"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "dags show"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "dags show"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "dags show"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "dags show"' -l help -d 'Show this message and exit.'

# bfill dags validate
complete -c bfill -n '__bfill_at "dags validate"' -k -a '(__bfill_ask dags; or __fish_complete_suffix .py)'
complete -c bfill -n '__bfill_at "dags validate"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "dags validate"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "dags validate"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "dags validate"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "dags validate"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "dags validate"' -l help -d 'Show this message and exit.'

# bfill dags pause
complete -c bfill -n '__bfill_at "dags pause"' -k -a '(__bfill_ask dags; or __fish_complete_suffix .py)'
complete -c bfill -n '__bfill_at "dags pause"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "dags pause"' -l conf -x -d 'Values for dag_run.conf; may be repeated, later ones win. A KEY=VALUE is text.'
complete -c bfill -n '__bfill_at "dags pause"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "dags pause"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "dags pause"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "dags pause"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "dags pause"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "dags pause"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "dags pause"' -l help -d 'Show this message and exit.'

# bfill dags unpause
complete -c bfill -n '__bfill_at "dags unpause"' -k -a '(__bfill_ask dags; or __fish_complete_suffix .py)'
complete -c bfill -n '__bfill_at "dags unpause"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "dags unpause"' -l conf -x -d 'Values for dag_run.conf; may be repeated, later ones win. A KEY=VALUE is text.'
complete -c bfill -n '__bfill_at "dags unpause"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "dags unpause"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "dags unpause"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "dags unpause"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "dags unpause"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "dags unpause"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "dags unpause"' -l help -d 'Show this message and exit.'

# bfill pools
complete -c bfill -n '__bfill_at "pools"' -a list -d 'Every pool: its size, who has its slots, what waits.'
complete -c bfill -n '__bfill_at "pools"' -a set -d 'Make a pool, or give it another size while things run.'
complete -c bfill -n '__bfill_at "pools"' -a delete -d 'Forget a pool; what bfill.toml says of it holds again.'
complete -c bfill -n '__bfill_at "pools"' -l help -d 'Show this message and exit.'

# bfill pools list
complete -c bfill -n '__bfill_at "pools list"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "pools list"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "pools list"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "pools list"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "pools list"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "pools list"' -l help -d 'Show this message and exit.'

# bfill pools set
complete -c bfill -n '__bfill_at "pools set"' -k -a '(__bfill_ask pools)'
complete -c bfill -n '__bfill_at "pools set"' -l description -x -d 'What it protects; \'\' takes it away.'
complete -c bfill -n '__bfill_at "pools set"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "pools set"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "pools set"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "pools set"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "pools set"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "pools set"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "pools set"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "pools set"' -l help -d 'Show this message and exit.'

# bfill pools delete
complete -c bfill -n '__bfill_at "pools delete"' -k -a '(__bfill_ask pools)'
complete -c bfill -n '__bfill_at "pools delete"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "pools delete"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "pools delete"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "pools delete"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "pools delete"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "pools delete"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "pools delete"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "pools delete"' -l help -d 'Show this message and exit.'

# bfill store
complete -c bfill -n '__bfill_at "store"' -a check -d 'Everything that can be asked of the store.'
complete -c bfill -n '__bfill_at "store"' -a backup -d 'A verified copy, made while others write.'
complete -c bfill -n '__bfill_at "store"' -a prune -d 'Remove tries, XComs and logs of what succeeded long ago.'
complete -c bfill -n '__bfill_at "store"' -l help -d 'Show this message and exit.'

# bfill store check
complete -c bfill -n '__bfill_at "store check"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "store check"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "store check"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "store check"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "store check"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "store check"' -l help -d 'Show this message and exit.'

# bfill store backup
complete -c bfill -n '__bfill_at "store backup"' -k -a ''
complete -c bfill -n '__bfill_at "store backup"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "store backup"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "store backup"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "store backup"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "store backup"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "store backup"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "store backup"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "store backup"' -l help -d 'Show this message and exit.'

# bfill store prune
complete -c bfill -n '__bfill_at "store prune"' -l older-than -x -k -a '30d 90d 180d 365d' -d '90d, 12w, 48h, or ended before 2024-01-31.'
complete -c bfill -n '__bfill_at "store prune"' -l dag -x -k -a '(__bfill_ask dags; or __fish_complete_suffix .py)' -d 'Of this dag_id alone.'
complete -c bfill -n '__bfill_at "store prune"' -l dry-run -d 'Say what would go; remove nothing.'
complete -c bfill -n '__bfill_at "store prune"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "store prune"' -l reason -x -d 'Why, for the audit chain.'
complete -c bfill -n '__bfill_at "store prune"' -l yes -s y -d 'Do not ask.'
complete -c bfill -n '__bfill_at "store prune"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "store prune"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "store prune"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "store prune"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "store prune"' -l help -d 'Show this message and exit.'

# bfill scenario
complete -c bfill -n '__bfill_at "scenario"' -a list -d 'The scenarios, by number.'
complete -c bfill -n '__bfill_at "scenario"' -a show -d 'What one scenario is about.'
complete -c bfill -n '__bfill_at "scenario"' -a run -d 'Play one, or check several.'
complete -c bfill -n '__bfill_at "scenario"' -l help -d 'Show this message and exit.'

# bfill scenario list
complete -c bfill -n '__bfill_at "scenario list"' -l tag -x -k -a '(__bfill_ask tags)' -d 'Only those with this tag.'
complete -c bfill -n '__bfill_at "scenario list"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "scenario list"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "scenario list"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "scenario list"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "scenario list"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "scenario list"' -l help -d 'Show this message and exit.'

# bfill scenario show
complete -c bfill -n '__bfill_at "scenario show"' -k -a '(__bfill_ask scenarios)'
complete -c bfill -n '__bfill_at "scenario show"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "scenario show"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "scenario show"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "scenario show"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "scenario show"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "scenario show"' -l help -d 'Show this message and exit.'

# bfill scenario run
complete -c bfill -n '__bfill_at "scenario run"' -k -a '(__bfill_ask scenarios)'
complete -c bfill -n '__bfill_at "scenario run"' -l all -d 'All of them.'
complete -c bfill -n '__bfill_at "scenario run"' -l tag -x -k -a '(__bfill_ask tags)' -d 'Only those with this tag.'
complete -c bfill -n '__bfill_at "scenario run"' -l keep -d 'Leave the private folder, and say where.'
complete -c bfill -n '__bfill_at "scenario run"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "scenario run"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "scenario run"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "scenario run"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "scenario run"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "scenario run"' -l help -d 'Show this message and exit.'

# bfill completion
complete -c bfill -n '__bfill_at "completion"' -k -a 'bash zsh fish'
complete -c bfill -n '__bfill_at "completion"' -l store -r -F -d 'Where state lives (BFILL_STORE).'
complete -c bfill -n '__bfill_at "completion"' -l json -d 'One JSON document on stdout.'
complete -c bfill -n '__bfill_at "completion"' -l quiet -s q -d 'Nothing but errors.'
complete -c bfill -n '__bfill_at "completion"' -l verbose -s v -d 'More, and tracebacks of bugs.'
complete -c bfill -n '__bfill_at "completion"' -l no-color -d 'No colour (NO_COLOR).'
complete -c bfill -n '__bfill_at "completion"' -l help -d 'Show this message and exit.'
