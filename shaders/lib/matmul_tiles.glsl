// Which tile of c a workgroup computes, and which slice of k.
// Bands of 8 rows of tiles, so that workgroups that run together share rows of a and columns of b; false: none is left.
bool tile_of(uint rows, uint cols, out uint row0, out uint col0) {
  const uint BAND = 8;
  uint row_tiles = (p.m + rows - 1) / rows, col_tiles = (p.n + cols - 1) / cols;
  uint first = flat_group() / (BAND * col_tiles) * BAND, in_band = flat_group() % (BAND * col_tiles);
  uint band = min(BAND, max(row_tiles, first + 1) - first);
  row0 = (first + in_band % band) * rows;
  col0 = in_band / band * cols;
  return first < row_tiles && in_band / band < col_tiles;
}

// Slices are whole steps, one to each workgroup in z; no slice is empty (vkd__matmul_slices).  Slice s of the sums is stored s * m rows
// further down.
void slice_of(uint step, out uint begin, out uint end) {
  uint steps = (p.k + step - 1) / step, share = (steps + gl_NumWorkGroups.z - 1) / gl_NumWorkGroups.z * step;
  begin = gl_WorkGroupID.z * share;
  end = min(p.k, begin + share);
}
void store_slice(uint row, uint col, float x) {
  if (row < p.m && col < p.n) store(gl_WorkGroupID.z * p.m + row, col, x);
}
