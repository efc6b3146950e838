# SPDX-License-Identifier: GPL-2.0-or-later
# From figures, lines "CPU KERNEL NAME VALUE UNIT [AIM [FLOOR [REFERENCE]]]", to
# a table for people (the default) or to JSON (-v json=1).
#
# An AIM with a FLOOR is for a host on which the figure FLOOR of the unpatched
# kernel is REFERENCE; elsewhere it is as much higher or lower as that is. What
# has the REFERENCE 0 is an aim for what comes on top of FLOOR.

BEGIN {
	order = "aobcdefgpsi"
	title["a"] = "(a) an exit that is none of its business: what it costs, and beyond the unpatched kernel's"
	title["o"] = "(a) by disassembly: instructions on that exit's way that the unpatched kernel has not"
	title["b"] = "(b) the first touch of a page: what it costs, and beyond the unpatched kernel's"
	title["c"] = "(c) a forbidden write, decided by a program, by the rule alone, by a VMM, by a VMM that asks another process"
	title["d"] = "(d) changing 512 pages of the map, one of them"
	title["e"] = "(e) memory of a protected page"
	title["f"] = "(f) a fetch that is denied, or learned; a policy with nothing to say; a write that is stepped"
	title["g"] = "(g) a policy over a gigabyte: for how long the guest stands still; memory; huge pages lost"
	title["p"] = "(p) exits of 1,000 loads of a control register that toggle one bit of it"
	title["i"] = "(i) isolation: an exit settled within the window, and one that leaves it; memory that a VM has mapped"
	title["s"] = "(s) sub-pages checked by the CPU (SPP), beside the same host in software"
}

{
	n++
	cpu[n] = $1
	kernel[n] = $2
	name[n] = $3
	value[n] = $4
	unit[n] = $5
	aim[n] = $6
	floor[n] = $7
	reference[n] = $8
	if ($2 ~ /^vanilla/)
		vanilla[$1, $3] = $4
	else
		ours[$1, $3] = 1
}

function quote(s) {
	gsub(/["\\]/, "\\\\&", s)
	return "\"" s "\""
}

# The aim of figure i as it is on this host, or nothing
function moved_aim(i) {
	if (aim[i] == "" || floor[i] == "")
		return aim[i]
	if (!((cpu[i], floor[i]) in vanilla))
		return reference[i] == 0 ? "" : aim[i]
	return aim[i] + vanilla[cpu[i], floor[i]] - reference[i]
}

function number(x) {
	return x == "" ? "" : sprintf((unit[i] == "bytes" ? "%.1f" : "%.0f"), x)
}

function table(    letter, t, key, header, a, extra, met) {
	for (i = 1; i <= n; i++) {
		# The unpatched kernel's figures stand beside ours where there are both
		if (kernel[i] ~ /^vanilla/ && (cpu[i], name[i]) in ours)
			continue
		letter[i] = substr(name[i], 1, 1)
	}
	for (t = 1; t <= length(order); t++) {
		key = substr(order, t, 1)
		header = 0
		for (i = 1; i <= n; i++) {
			if (letter[i] != key)
				continue
			if (!header++) {
				printf "\n%s\n", title[key]
				printf "  %-34s %-6s %12s %10s %10s %10s  %s\n", "", "cpu", "value",
					(key < "c" ? "extra" : "unpatched"), "aim", "over aim", "unit"
			}
			a = moved_aim(i)
			extra = ""
			if (key < "c" && floor[i] != "" && (cpu[i], floor[i]) in vanilla)
				extra = number(value[i] - vanilla[cpu[i], floor[i]])
			else if (key >= "c" && (cpu[i], name[i]) in vanilla && kernel[i] !~ /^vanilla/)
				extra = number(vanilla[cpu[i], name[i]])
			met = ""
			if (a != "")
				met = value[i] <= a + 0.05 ? "-" : "+" number(value[i] - a)
			printf "  %-34s %-6s %12s %10s %10s %10s  %s\n", substr(name[i], 3), cpu[i],
				number(value[i]), extra, number(a), met, unit[i]
		}
	}
}

function print_json() {
	printf "["
	for (i = 1; i <= n; i++) {
		a = moved_aim(i)
		full = name[i]
		if (kernel[i] ~ /^vanilla/ && full !~ /\.out$/)
			full = full "-unpatched"
		printf "%s\n  {\"name\": %s, \"cpu\": %s, \"value\": %s, \"unit\": %s, \"aim\": %s}",
			(i > 1 ? "," : ""), quote(full), quote(cpu[i]), value[i], quote(unit[i]),
			(a == "" ? "null" : a)
	}
	print "\n]"
}

END {
	if (json)
		print_json()
	else
		table()
}
