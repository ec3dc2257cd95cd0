/**
 * Scripts by which shells complete the words of `sandpiper`. Each asks the command itself for
 * candidates, so that a shell never knows less than the command that is installed, and takes names
 * of files where there are none.
 */

/** The word by which a shell asks; the words of the line up to the one to complete follow it. */
export const COMPLETE = "__complete";

/**
 * docs: bash(1), "Programmable Completion". The words are taken from the line as typed, as
 * COMP_WORDS is split at ":" and "=".
 */
const BASH = `# sandpiper's words for bash. In ~/.bashrc: eval "$(sandpiper completion bash)"
_sandpiper() {
  local line="\${COMP_LINE:0:COMP_POINT}" words=() IFS=$' \\t\\n'
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  local found
  found="$("\${words[0]}" ${COMPLETE} "\${words[@]:1}" 2>/dev/null)"
  IFS=$'\\n'
  COMPREPLY=($(cut -f 1 <<< "$found"))
}
complete -o default -F _sandpiper sandpiper
`;

/** docs: zshcompsys(1), "Utility functions", _describe. */
const ZSH = `#compdef sandpiper
# sandpiper's words for zsh. In ~/.zshrc, behind compinit: eval "$(sandpiper completion zsh)"
_sandpiper() {
  local -a found
  local line
  for line in "\${(@f)$("\${words[1]}" ${COMPLETE} "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && found+=("\${\${\${line%%$'\\t'*}//:/\\\\:}}:\${line#*$'\\t'}")
  done
  if (( \${#found} )); then _describe sandpiper found; else _files; fi
}
compdef _sandpiper sandpiper
`;

/** docs: fish's complete(1). Candidates with a description have it behind a tab, as here. */
const FISH = `# sandpiper's words for fish. In ~/.config/fish/config.fish: sandpiper completion fish | source
function __sandpiper_complete
    set -l words (commandline -opc)
    set -l found ($words[1] ${COMPLETE} $words[2..] (commandline -ct) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c sandpiper -f -a '(__sandpiper_complete)'
`;

/** The script of each shell, by the shell's name. */
export const SHELLS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
