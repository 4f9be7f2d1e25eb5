# zsh -f completion.zsh SCRIPT LINE: what zsh offers at the end of a line, once SCRIPT is sourced; a word a line.
# Completion runs in an editor alone: this file runs a second shell on a pseudo-terminal, which sources it too.
if [[ -n $OFFERED ]]; then
  autoload -Uz compinit
  compinit -D -u
  source $SCRIPT
  compadd() {
    # With these a function asks for matches, and adds none.
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
      builtin compadd "$@"
      return
    fi
    local -a hits
    builtin compadd -O hits "$@"
    print -rl -- $hits >> $OFFERED
    builtin compadd "$@"
  }
  end-of-words() { print done >> $OFFERED }
  comppostfuncs=(end-of-words)
  bindkey '^I' complete-word
  print ready >> $OFFERED
  return
fi

zmodload zsh/zpty
export SCRIPT=$1 OFFERED=$(mktemp)
wait-for() {
  repeat 200; do
    grep -q "^$1\$" $OFFERED && return
    sleep 0.05
  done
  exit 1
}
zpty inner zsh -f -i
zpty -w inner "source ${0:A}"
wait-for ready
zpty -w -n inner "$2"$'\t'
wait-for done
grep -Ev '^(ready|done|)$' $OFFERED
rm $OFFERED
zpty -d inner
