#!/bin/bash
# vkdit selftest --compile-only: as AMD's compiler sees every kernel on RDNA 2, 3 and 4, without a card; where its driver was not fetched, on the
# device at hand.
. "$(dirname "$0")/../cli.bash"

refused 2 "give one of them" selftest --op gelu --compile-only
refused 2 "for --compile-only alone" selftest --json

radv=$vkdit-radv
if [ ! -x "$radv" ]; then
  "$vkdit" selftest --compile-only >"$folder/out" 2>"$folder/stderr"
  status=$?
  skip_without_device "$folder/stderr"
  note $status "here: $(grep MISS "$folder/out") $(cat "$folder/stderr")"
  has "$(tail -n 1 "$folder/out")" "0 missed"
  echo "no driver for AMD cards that are not there (./dev setup --radv, then build again)"
  finish 3
  exit
fi
for family in navi21 navi31 gfx1201; do
  RADV_FORCE_FAMILY=$family "$radv" selftest --compile-only >"$folder/out" 2>"$folder/stderr"
  note $? "$family: $(grep MISS "$folder/out") $(cat "$folder/stderr")"
  tail -n 1 "$folder/out"
  has "$(tail -n 1 "$folder/out")" " 0 missed"
  hasnt "$(cat "$folder/out")" "limits alone were checked" # the driver told of registers
  # cooperative matrices: this version of the driver lists them for RDNA 3 alone
  if [ $family = navi31 ]; then has "$(cat "$folder/out")" "ok   matmul_cm_f16"; fi
done
finish 10
