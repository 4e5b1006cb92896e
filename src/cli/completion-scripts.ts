/** The scripts that make a shell ask `cellar __complete`. They hold no verb and no option, so they never grow old. */

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

export function completionScript(shell: Shell): string {
  return { bash, zsh, fish }[shell];
}

/** References hold colons, at which readline breaks words: what stands before the last one is cut off again. */
const bash = String.raw`# bash completion of cellar
_cellar() {
  local line words current candidate IFS=$'\n'
  line=\${COMP_LINE:0:COMP_POINT}
  local -a typed
  IFS=' ' read -r -a typed <<<"$line"
  [[ $line == *' ' ]] && typed+=('')
  current=\${typed[-1]}
  words="\${typed[*]:1}"
  COMPREPLY=()
  local prefix=''
  [[ $current == *:* && $COMP_WORDBREAKS == *:* ]] && prefix=\${current%"\${current##*:}"}
  if [[ $current == *=* && $COMP_WORDBREAKS == *=* ]]; then prefix=\${current%%=*}=; fi
  while read -r candidate; do
    candidate=\${candidate%%$'\t'*}
    case $candidate in
      :file) compopt -o filenames; COMPREPLY+=($(compgen -f -- "\${current#"$prefix"}")) ;;
      :directory) compopt -o filenames; COMPREPLY+=($(compgen -d -- "\${current#"$prefix"}")) ;;
      *) COMPREPLY+=("\${candidate#"$prefix"}") ;;
    esac
  done < <(cellar __complete -- "$words" 2>/dev/null)
}
complete -F _cellar cellar`.replaceAll('\\$', '$');

const zsh = String.raw`#compdef cellar
_cellar() {
  local -a candidates
  local candidate value
  for candidate in "\${(@f)$(cellar __complete -- "\${(pj:\n:)words[2,CURRENT]}" 2>/dev/null)}"; do
    value=\${candidate%%$'\t'*}
    case $value in
      '') ;;
      :file|:directory) compset -P '--[a-z-]##='; compset -P '[a-z-]##:' ;|
      :file) _files ;;
      :directory) _files -/ ;;
      *) candidates+=("\${value//:/\\:}\${\${candidate#$value}:+:\${candidate#*$'\t'}}") ;;
    esac
  done
  (( $#candidates )) && _describe cellar candidates
}
if [ "$funcstack[1]" = _cellar ]; then _cellar "$@"; else compdef _cellar cellar; fi`.replaceAll('\\$', '$');

const fish = String.raw`# fish completion of cellar
function __cellar_complete
  # An empty word would be lost in a list, or at the end of what string(1) collects.
  set -l typed (commandline -ct)
  set -l line "$typed"
  set -l before (commandline -opc)
  set -e before[1]
  for word in $before[-1..1]
    set line $word\n$line
  end
  # Behind the kind of a target a path begins.
  set -l kind (string match -r '^[a-z][a-z-]*:' -- $typed)
  set -l path (string replace -- "$kind" '' $typed)
  set -l found
  for candidate in (cellar __complete -- $line 2>/dev/null)
    switch $candidate
      case ':file'
        set found $found "$kind"(__fish_complete_path "$path")
      case ':directory'
        set found $found "$kind"(__fish_complete_directories "$path")
      case '*'
        set found $found $candidate
    end
  end
  for candidate in $found
    echo $candidate
  end
end
complete -c cellar -f -a '(__cellar_complete)'`;
