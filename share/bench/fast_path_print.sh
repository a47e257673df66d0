# shellcheck shell=sh
# fast_path_print.sh - the benchmark's line of JSON as a table and as a plot;
# sourced by fast-path.

# A number or, without one, a dash, in jq.
print_defs='def n: if . == null then "-" else tostring end;
	def spread: if . == null then "-" else
		"\(.[0] * 10 | round / 10)-\(.[1] * 10 | round / 10)" end;'

print_table() {
	cat >"$work/table"
	printf '%-14s %5s %-5s %7s %11s %7s %7s %7s %7s %7s %7s\n' \
		'M FRAMES/S' BYTES PLACE OURS SPREAD LIMIT MEMIF VHOST /LIMIT \
		/PEER GONE
	jq -r "$print_defs"'.results[] | select(.limit_mpps != null or
		.mpps != null) | select(.shape != "fan") |
		[.shape, .bytes, .placement, .mpps, (.mpps_quartiles | spread),
		 .limit_mpps, .memif_mpps, .vhost_mpps, .ratio_limit,
		 .ratio_best_peer, .discarded] | map(n) | join(" ")' \
		"$work/table" | while read -r a b c d e f g h i j k; do
		printf '%-14s %5s %-5s %7s %11s %7s %7s %7s %7s %7s %7s\n' \
			"$a" "$b" "$c" "$d" "$e" "$f" "$g" "$h" "$i" "$j" "$k"
	done
	jq -r "$print_defs"'.results[] | select(.memif_loop_mpps != null) |
		"two-hop, \(.bytes) bytes, \(.placement): frames both ways at " +
		"once through memif \(.memif_loop_mpps | n), vhost " +
		"\(.vhost_loop_mpps | n) each way; ours is " +
		"\(.ratio_memif_loop | n) and \(.ratio_vhost_loop | n) times that"
		' "$work/table"
	printf '\n%-14s %-8s %-5s %9s %9s %9s %7s %9s %7s %7s\n' ROUND\ TRIP \
		MODE PLACE 'P50 us' 'P99 us' 'LIMIT us' /LIMIT 'BARE us' /BARE \
		/POLL
	jq -r "$print_defs"'.results[] | select(.shape == "round-trip") |
		[.mode, .placement, .us_p50, .us_p99, .limit_us_p50,
		 .ratio_limit, .bare_us_p50, .ratio_bare, .ratio_poll] |
		map(n) | join(" ")' \
		"$work/table" | while read -r b c d e f g h i j; do
		printf '%-14s %-8s %-5s %9s %9s %9s %7s %9s %7s %7s\n' '' \
			"$b" "$c" "$d" "$e" "$f" "$g" "$h" "$i" "$j"
	done
	printf '\n%-14s %4s %-5s %9s %9s %12s\n' FAN VFS PLACE 'M/s' '/ONE VF' \
		'LEAST SHARE'
	jq -r "$print_defs"'.results[] | select(.shape == "fan") |
		[.vfs, .placement, .mpps, .ratio_one_vf, .least_share] |
		map(n) | join(" ")' "$work/table" |
		while read -r b c d e f; do
			printf '%-14s %4s %-5s %9s %9s %12s\n' '' "$b" "$c" \
				"$d" "$e" "$f"
		done
}

# plot_data SHAPE X FIGURE: of the placement in which most was measured.
plot_data() {
	jq -r --arg shape "$1" --arg x "$2" --arg y "$3" --arg place "$place" '
		.results[] | select(.shape == $shape and .placement == $place)
		| select(.[$y] != null) | "\(.[$x]) \(.[$y])"' "$work/table"
}

# draw_plot FILE: over frame sizes, and over the number of VFs.
draw_plot() {
	place=$(jq -r '[.results[] | select(.mpps != null) | .placement] |
		group_by(.) | max_by(length) // ["near"] | .[0]' "$work/table")
	{
		echo "set terminal svg size 900,900 dynamic"
		echo "set output '$1'"
		echo "set multiplot layout 2,2 title 'iovkit fast path," \
			"placement $place: million frames a second'"
		echo "set key right top; set grid; set yrange [0:*]"
		echo "set logscale x 2; set xlabel 'bytes of a frame'"
		for shape in one-hop two-hop two-hop-procs; do
			sets=
			for who in mpps:ours limit_mpps:limit memif_mpps:memif \
				vhost_mpps:vhost-user; do
				plot_data $shape bytes "${who%:*}" \
					>"$work/plot.$shape.${who#*:}"
				[ -s "$work/plot.$shape.${who#*:}" ] || continue
				sets="$sets${sets:+,} '$work/plot.$shape.${who#*:}' \
					with linespoints title '${who#*:}'"
			done
			[ ! "$sets" ] || echo "set title '$shape'; plot $sets"
		done
		plot_data fan vfs mpps >"$work/plot.fan"
		[ ! -s "$work/plot.fan" ] || echo "set xlabel 'VFs'" \
			"; set title 'fan, 64 bytes'; plot '$work/plot.fan'" \
			"with linespoints title 'ours'"
		echo "unset multiplot"
	} >"$work/plot"
	gnuplot "$work/plot"
}
