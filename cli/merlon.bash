# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of merlon for bash.  Verbs and options come from merlon's own help;
# VMs and rules from merlond, silently nothing if it does not answer.

_merlon_verbs()
{
	"$1" --help 2>/dev/null | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

_merlon_options()
{
	"$1" ${2:+"$2"} --help 2>/dev/null |
		sed -n '/^Options:/,/^$/s/^ .*\(--[a-z0-9-]*=\{0,1\}\).*/\1/p' | sed 's/ .*//'
}

# Ids, and those names that a shell needs no quoting for.
_merlon_vms()
{
	"$1" list --json --no-ask-password 2>/dev/null | grep -oE '"(id|name)":("[A-Za-z0-9_.+-]+"|[0-9]+)' |
		sed 's/.*:"\{0,1\}\([^"]*\)"\{0,1\}/\1/'
}

_merlon_rules()
{
	"$1" status --json --no-ask-password -- "$2" 2>/dev/null |
		sed 's/.*"rules":\[//' | grep -oE '"name":"[^"]+"' | sed 's/.*:"\(.*\)"/\1/'
}

# The kinds of events: those that merlon names when it is given none.
_merlon_kinds()
{
	"$1" watch --kind= 2>&1 | sed -n 's/^ *kinds are: //p'
}

# Those that ssh's own settings name, without patterns.
_merlon_hosts()
{
	sed -n 's/^[[:space:]]*[Hh]ost[[:space:]][[:space:]]*//p' ~/.ssh/config 2>/dev/null |
		tr ' ' '\n' | grep -xE '[A-Za-z0-9._-]+'
}

_merlon_policies()
{
	"$1" policy list --json --no-ask-password --no-ask-password 2>/dev/null | grep -oE '"name":"[^"]+"' |
		sed 's/.*:"\(.*\)"/\1/'
}

_merlon()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	# Of isolation, "vm" is status or kick, and "rule" the VM; of policy, what to do, and
	# with which.
	local merlon=${COMP_WORDS[0]} verb='' vm='' rule='' words='' i

	# "--name=x" arrives as three words.
	[[ $cur == "=" ]] && cur=
	[[ $prev == "=" ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--*) [[ ${COMP_WORDS[i + 1]} == "=" ]] && ((i += 2)) ;;
		-*) ;;
		*)
			if [[ -z $verb ]]; then
				verb=${COMP_WORDS[i]}
			elif [[ -z $vm ]]; then
				vm=${COMP_WORDS[i]}
			elif [[ -z $rule ]]; then
				rule=${COMP_WORDS[i]}
			fi
			;;
		esac
	done

	COMPREPLY=()
	case $prev in
	--rules | --output)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--write | --read) words=deny ;;
	--execute) words='none user kernel both' ;;
	--action)
		words='deny allow skip kill'
		# What is of memory only
		[[ $verb == pin ]] || words+=' exit'
		;;
	--default) words='deny allow kill' ;;
	--on-reset) words='disarm keep kill' ;;
	--mode)
		words='enforce monitor'
		[[ $verb == pin ]] || words+=' learn'
		;;
	--cr0) words=wp ;;
	--cr4) words='smep smap umip cet lass' ;;
	--efer) words=nx ;;
	--efi-runtime) words=no ;;
	--bus) words='system session' ;;
	--kind) words=$(_merlon_kinds "$merlon") ;;
	--since | --until) words='now today yesterday' ;;
	--lines | -n | --name | --gpa | --length | --count | --for | --idle | --rule) return ;;
	--host) words=$(_merlon_hosts) ;;
	*)
		if [[ $cur == -* ]]; then
			words=$(_merlon_options "$merlon" "$verb")
			[[ $words == *= ]] && compopt -o nospace 2>/dev/null
		elif [[ -z $verb ]]; then
			words=$(_merlon_verbs "$merlon")
		elif [[ -z $vm ]]; then
			case $verb in
			status | protect | pin | unprotect | mode | learn | watch | clear | engine) words=$(_merlon_vms "$merlon") ;;
			arm | owner | explain | events) words=$(_merlon_vms "$merlon") ;;
			isolation) words='status kick' ;;
			policy) words='check list diff load unload reload' ;;
			esac
		elif [[ $verb == policy ]]; then
			case $vm in
			check | diff | load)
				compopt -o filenames 2>/dev/null
				mapfile -t COMPREPLY < <(compgen -f -- "$cur")
				return
				;;
			unload) [[ -z $rule ]] && words=$(_merlon_policies "$merlon") ;;
			esac
		elif [[ $verb == isolation && -z $rule ]]; then
			words=$(_merlon_vms "$merlon")
		elif [[ $verb == isolation ]]; then
			[[ $vm == kick ]] && words='never always'
		elif [[ $verb == unprotect || ($verb == arm && -z $rule) || ($verb == mode && -z $rule) ]]; then
			words=$(_merlon_rules "$merlon" "$vm")
		elif [[ $verb == mode ]]; then
			words='enforce monitor learn'
		elif [[ $verb == engine ]]; then
			words='auto software hardware'
		fi
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
	return 0
}

complete -F _merlon merlon
