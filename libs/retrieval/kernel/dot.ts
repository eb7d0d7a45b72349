// AssemblyScript: WebAssembly by `npm run kernel`, which writes src/generated/dot-kernel.ts.

/**
 * Dot products of some float32 vectors of a block with one more. Sixteen partial sums in single precision, added up in
 * double: as good as the vectors themselves are, for unit vectors some 1e-8.
 * query, block, rows, products: addresses, of float32, float32, u32 and float64; rows: which vectors of the block, in the
 * order of their products.
 */
export function dots(query: usize, block: usize, rows: usize, rowCount: i32, dimension: i32, products: usize): void {
  const bytes: usize = (<usize>dimension) << 2;
  const whole: usize = bytes & ~63;
  for (let i = 0; i < rowCount; i++) {
    const row = block + <usize>load<u32>(rows) * bytes;
    let a = f32x4.splat(0);
    let b = f32x4.splat(0);
    let c = f32x4.splat(0);
    let d = f32x4.splat(0);
    for (let at: usize = 0; at < whole; at += 64) {
      a = f32x4.add(a, f32x4.mul(v128.load(query + at), v128.load(row + at)));
      b = f32x4.add(b, f32x4.mul(v128.load(query + at, 16), v128.load(row + at, 16)));
      c = f32x4.add(c, f32x4.mul(v128.load(query + at, 32), v128.load(row + at, 32)));
      d = f32x4.add(d, f32x4.mul(v128.load(query + at, 48), v128.load(row + at, 48)));
    }
    let sum: f64 = total(a) + total(b) + (total(c) + total(d));
    for (let at = whole; at < bytes; at += 4) sum += <f64>load<f32>(query + at) * <f64>load<f32>(row + at);
    store<f64>(products, sum);
    products += 8;
    rows += 4;
  }
}

function total(lanes: v128): f64 {
  return <f64>f32x4.extract_lane(lanes, 0) + <f64>f32x4.extract_lane(lanes, 1) + (<f64>f32x4.extract_lane(lanes, 2) + <f64>f32x4.extract_lane(lanes, 3));
}
