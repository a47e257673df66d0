# fast_path_report.jq - samples, one a line, to the benchmark's line of JSON.
#
# A sample is: SHAPE BYTES VFS WHO PLACEMENT NS VALUE [VALUE2]; with a placement
# "moved", "busy" or "none" it was discarded.

def digits: if . == null then null else . * 1000 | round / 1000 end;

def median:
	sort | if length == 0 then null
	elif length % 2 == 1 then .[(length - 1) / 2]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;

def quartiles:
	sort | if length == 0 then null
	else [.[((length - 1) / 4 | floor)], .[((length - 1) * 3 / 4 | ceil)]]
		| map(digits)
	end;

def ratio($a; $b):
	if $a == null or $b == null or $b == 0 then null else $a / $b end
	| digits;

# Of a group of samples: the values of one of those who were compared.
def values($who): map(select(.who == $who) | .value);
def figure($who): values($who) | median;
def best($names): [figure($names[])] | map(values) | max;

def placements: ["smt", "near", "far"] as $order |
	[.[].placement] as $seen | $order | map(select(. as $p |
		$seen | index($p)));

# In each placement that was seen; one row without, if there was none.
def each_placement(f):
	map(select(.placement | IN("moved", "busy", "none"))) as $discarded |
	map(select(.placement | IN("moved", "busy", "none") | not)) as $good |
	($good | placements) as $seen |
	($discarded | map(select(.placement == "busy")) | length) as $busy |
	(if $seen == [] then [null] else $seen end)[] as $placement |
	$good | map(select(.placement == $placement)) |
	{placement: $placement, trip_ns: (map(.ns) | median | digits),
	 discarded: ($discarded | length),
	 busy: $busy} + f;

def throughput:
	figure("ours") as $ours | best(["memif", "memif-zc"]) as $memif |
	figure("vhost") as $vhost | figure("limit") as $limit |
	best(["memif-loop", "memif-zc-loop"]) as $memif_loop |
	figure("vhost-loop") as $vhost_loop |
	{samples: (values("ours") | length), mpps: ($ours | digits),
	 mpps_quartiles: (values("ours") | quartiles),
	 memif_mpps: ($memif | digits), vhost_mpps: ($vhost | digits),
	 limit_mpps: ($limit | digits),
	 limit_mpps_quartiles: (values("limit") | quartiles),
	 ratio_best_peer: ratio($ours; [$memif, $vhost] | map(values) | max),
	 ratio_limit: ratio($ours; $limit)} +
	if .[0].shape == "two-hop" then
		{memif_loop_mpps: ($memif_loop | digits),
		 vhost_loop_mpps: ($vhost_loop | digits),
		 ratio_memif_loop: ratio($ours; $memif_loop),
		 ratio_vhost_loop: ratio($ours; $vhost_loop)}
	else {} end;

# limit: over the same way, which is twice from guest to device and back; bare:
# once.
def trip($mode):
	map(select(.who == $mode)) as $ours |
	($ours | map(.value) | median) as $p50 |
	(if $mode == "sleep" then "limit-sleep" else "limit-poll" end) as $of |
	figure($of + "-2") as $limit | figure($of + "-1") as $bare |
	{mode: $mode, samples: ($ours | length), us_p50: ($p50 | digits),
	 us_p99: ($ours | map(.value2) | median | digits),
	 limit_us_p50: ($limit | digits), ratio_limit: ratio($p50; $limit),
	 bare_us_p50: ($bare | digits), ratio_bare: ratio($p50; $bare),
	 ratio_poll: ratio($p50; figure("poll"))};

def fan($one):
	figure("ours") as $ours |
	{samples: length, mpps: ($ours | digits),
	 ratio_one_vf: ratio($ours; $one),
	 least_share: (map(.value2) | median | digits)};

[inputs | split(" ") | {shape: .[0], bytes: (.[1] | tonumber),
	vfs: (.[2] | tonumber), who: .[3], placement: .[4],
	ns: (.[5] | tonumber), value: (.[6] | tonumber),
	value2: (.[7] | if . then tonumber else . end)}] as $all |
($all | map(select(.shape == "fan" and .vfs == 1))) as $ones |
{bench: "fast-path", cpus: $cpus, seconds: $seconds,
 peers: ($peers | split(" ")), results: [
	(("one-hop", "two-hop", "two-hop-procs") as $shape |
	 $all | map(select(.shape == $shape)) | group_by(.bytes)[] |
	 {shape: $shape, bytes: .[0].bytes} + each_placement(throughput)),
	(("poll", "adaptive", "sleep") as $mode |
	 $all | map(select(.shape == "round-trip")) | select(length > 0) |
	 {shape: "round-trip"} + each_placement(trip($mode))),
	($all | map(select(.shape == "fan")) | group_by(.vfs)[] |
	 {shape: "fan", vfs: .[0].vfs, bytes: .[0].bytes} +
	 each_placement(.[0].placement as $placement |
		fan($ones | map(select(.placement == $placement)) |
			figure("ours"))))]}
