#!/bin/bash
# What a hook of bash and jq can do of the same: brake, names of programs, paths, contract, inbox, journal.
set -euo pipefail
dir=$1
payload=$(cat)
mkdir -p "$dir/.hook"
exec 9>"$dir/.hook/lock"
flock 9
last=$(tail -n 1 "$dir/.hook/journal.jsonl" 2>/dev/null || true)
last=${last#*\"seq\":} last=${last%%,*}
{
    IFS=$'\t' read -r event tool command path
    cat >>"$dir/.hook/journal.jsonl"
} < <(jq -rc --argjson seq "$((${last:-0} + 1))" --arg ts "$(date -u +%FT%T.%3NZ)" \
    '([.hook_event_name, .tool_name, .tool_input.command // "-", .tool_input.file_path // "-"] | @tsv),
     {type: .hook_event_name, seq: $seq, ts: $ts, tool: .tool_name, input: .tool_input}' <<<"$payload")
deny() {
    jq -nc --arg why "$1" '{hookSpecificOutput: {hookEventName: "PreToolUse", permissionDecision: "deny", permissionDecisionReason: $why}}'
    exit 0
}
if [ "$event" = PreToolUse ]; then
    [ -e "$dir/AGENT_STOP" ] && deny "stopped"
    if [ "$tool" = Bash ]; then
        other=$(tr ';|&' '\n' <<<"$command" | awk '{print $1}' |
            grep -vxE 'ls|cat|head|grep|npm|node|python3|git|make|mkdir|cp|mv|' || true)
        [ -z "$other" ] || deny "$other"
    else
        path=$(realpath -m "$path")
        case $path in "$dir"/.git/* | "$dir"/.claude/*) deny "closed" ;; "$dir"/*) ;; *) deny "outside" ;; esac
    fi
else
    sum=$(sha256sum "$dir/feature_list.json" | cut -d' ' -f1)
    [ "$sum" = "$(cat "$dir/.hook/contract" 2>/dev/null || echo "$sum")" ] || cp "$dir/.hook/contract.json" "$dir/feature_list.json"
    echo "$sum" >"$dir/.hook/contract"
fi
[ -s "$dir/STEER.md" ] && [ "$event" = PostToolUse ] && {
    jq -nc --rawfile text "$dir/STEER.md" '{hookSpecificOutput: {hookEventName: "PostToolUse", additionalContext: $text}}'
    rm "$dir/STEER.md"
    exit 0
}
echo '{}'
