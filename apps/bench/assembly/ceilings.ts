// Kernels that only reach a limit of the machine: multiplications and additions of WebAssembly SIMD, and reading.
// scripts/generate.mjs builds them plain and with relaxed SIMD, whose multiplication and addition are one instruction.

/** Address of the buffer that `readSum` reads: above static data. */
const BASE: usize = 65536;

/**
 * `rounds` times: six independent chains of x ← x m, and six of x ← x + a, on f32x4: as many of each at once as a
 * processor takes whose latency is three cycles. In one chain an addition would wait for its multiplication. Written
 * out four times, as the loop itself takes slots: 192 operations a round. m and a come as parameters because some
 * engines reload constants in a loop.
 */
export function multiplyAndAdd(rounds: i32, multiplier: f32, addend: f32): f32 {
  const m = f32x4.splat(multiplier);
  const a = f32x4.splat(addend);
  let x0 = f32x4.splat(1);
  let x1 = f32x4.splat(2);
  let x2 = f32x4.splat(3);
  let x3 = f32x4.splat(4);
  let x4 = f32x4.splat(5);
  let x5 = f32x4.splat(6);
  let s0 = x0;
  let s1 = x1;
  let s2 = x2;
  let s3 = x3;
  let s4 = x4;
  let s5 = x5;
  for (let round = 0; round < rounds; round++) {
    x0 = f32x4.mul(x0, m);
    s0 = f32x4.add(s0, a);
    x1 = f32x4.mul(x1, m);
    s1 = f32x4.add(s1, a);
    x2 = f32x4.mul(x2, m);
    s2 = f32x4.add(s2, a);
    x3 = f32x4.mul(x3, m);
    s3 = f32x4.add(s3, a);
    x4 = f32x4.mul(x4, m);
    s4 = f32x4.add(s4, a);
    x5 = f32x4.mul(x5, m);
    s5 = f32x4.add(s5, a);
    x0 = f32x4.mul(x0, m);
    s0 = f32x4.add(s0, a);
    x1 = f32x4.mul(x1, m);
    s1 = f32x4.add(s1, a);
    x2 = f32x4.mul(x2, m);
    s2 = f32x4.add(s2, a);
    x3 = f32x4.mul(x3, m);
    s3 = f32x4.add(s3, a);
    x4 = f32x4.mul(x4, m);
    s4 = f32x4.add(s4, a);
    x5 = f32x4.mul(x5, m);
    s5 = f32x4.add(s5, a);
    x0 = f32x4.mul(x0, m);
    s0 = f32x4.add(s0, a);
    x1 = f32x4.mul(x1, m);
    s1 = f32x4.add(s1, a);
    x2 = f32x4.mul(x2, m);
    s2 = f32x4.add(s2, a);
    x3 = f32x4.mul(x3, m);
    s3 = f32x4.add(s3, a);
    x4 = f32x4.mul(x4, m);
    s4 = f32x4.add(s4, a);
    x5 = f32x4.mul(x5, m);
    s5 = f32x4.add(s5, a);
    x0 = f32x4.mul(x0, m);
    s0 = f32x4.add(s0, a);
    x1 = f32x4.mul(x1, m);
    s1 = f32x4.add(s1, a);
    x2 = f32x4.mul(x2, m);
    s2 = f32x4.add(s2, a);
    x3 = f32x4.mul(x3, m);
    s3 = f32x4.add(s3, a);
    x4 = f32x4.mul(x4, m);
    s4 = f32x4.add(s4, a);
    x5 = f32x4.mul(x5, m);
    s5 = f32x4.add(s5, a);
  }
  const products = f32x4.add(f32x4.add(f32x4.add(x0, x1), f32x4.add(x2, x3)), f32x4.add(x4, x5));
  const sums = f32x4.add(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)), f32x4.add(s4, s5));
  return sumLanes(f32x4.add(products, sums));
}

function sumLanes(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3);
}

/** The compiler inlines this. */
function step(x: v128, m: v128, a: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(x, m, a);
  return f32x4.add(f32x4.mul(x, m), a);
}

/**
 * `rounds` times: ten independent chains of x ← x m + a on f32x4, fused, so that latency is hidden and nothing touches
 * memory. 80 operations a round (10 chains, 4 lanes, a multiplication and an addition).
 */
export function multiplyAdd(rounds: i32, multiplier: f32, addend: f32): f32 {
  const m = f32x4.splat(multiplier);
  const a = f32x4.splat(addend);
  let x0 = a;
  let x1 = f32x4.mul(a, m);
  let x2 = f32x4.mul(x1, m);
  let x3 = f32x4.mul(x2, m);
  let x4 = f32x4.mul(x3, m);
  let x5 = f32x4.mul(x4, m);
  let x6 = f32x4.mul(x5, m);
  let x7 = f32x4.mul(x6, m);
  let x8 = f32x4.mul(x7, m);
  let x9 = f32x4.mul(x8, m);
  for (let round = 0; round < rounds; round++) {
    x0 = step(x0, m, a);
    x1 = step(x1, m, a);
    x2 = step(x2, m, a);
    x3 = step(x3, m, a);
    x4 = step(x4, m, a);
    x5 = step(x5, m, a);
    x6 = step(x6, m, a);
    x7 = step(x7, m, a);
    x8 = step(x8, m, a);
    x9 = step(x9, m, a);
  }
  const low = f32x4.add(f32x4.add(x0, x1), f32x4.add(x2, x3));
  const high = f32x4.add(f32x4.add(x4, x5), f32x4.add(x6, x7));
  return sumLanes(f32x4.add(f32x4.add(low, high), f32x4.add(x8, x9)));
}

/**
 * The same with twenty chains, which V8 pairs into ten of 256 bits where it revectorises: it starts from the adjacent
 * stores at the end. 160 operations a round.
 */
export function multiplyAddWide(rounds: i32, multiplier: f32, addend: f32): f32 {
  const m = f32x4.splat(multiplier);
  const a = f32x4.splat(addend);
  let x0 = f32x4.splat(1);
  let x1 = f32x4.splat(2);
  let x2 = f32x4.splat(3);
  let x3 = f32x4.splat(4);
  let x4 = f32x4.splat(5);
  let x5 = f32x4.splat(6);
  let x6 = f32x4.splat(7);
  let x7 = f32x4.splat(8);
  let x8 = f32x4.splat(9);
  let x9 = f32x4.splat(10);
  let x10 = f32x4.splat(11);
  let x11 = f32x4.splat(12);
  let x12 = f32x4.splat(13);
  let x13 = f32x4.splat(14);
  let x14 = f32x4.splat(15);
  let x15 = f32x4.splat(16);
  let x16 = f32x4.splat(17);
  let x17 = f32x4.splat(18);
  let x18 = f32x4.splat(19);
  let x19 = f32x4.splat(20);
  for (let round = 0; round < rounds; round++) {
    x0 = step(x0, m, a);
    x1 = step(x1, m, a);
    x2 = step(x2, m, a);
    x3 = step(x3, m, a);
    x4 = step(x4, m, a);
    x5 = step(x5, m, a);
    x6 = step(x6, m, a);
    x7 = step(x7, m, a);
    x8 = step(x8, m, a);
    x9 = step(x9, m, a);
    x10 = step(x10, m, a);
    x11 = step(x11, m, a);
    x12 = step(x12, m, a);
    x13 = step(x13, m, a);
    x14 = step(x14, m, a);
    x15 = step(x15, m, a);
    x16 = step(x16, m, a);
    x17 = step(x17, m, a);
    x18 = step(x18, m, a);
    x19 = step(x19, m, a);
  }
  v128.store(BASE, x0, 0);
  v128.store(BASE, x1, 16);
  v128.store(BASE, x2, 32);
  v128.store(BASE, x3, 48);
  v128.store(BASE, x4, 64);
  v128.store(BASE, x5, 80);
  v128.store(BASE, x6, 96);
  v128.store(BASE, x7, 112);
  v128.store(BASE, x8, 128);
  v128.store(BASE, x9, 144);
  v128.store(BASE, x10, 160);
  v128.store(BASE, x11, 176);
  v128.store(BASE, x12, 192);
  v128.store(BASE, x13, 208);
  v128.store(BASE, x14, 224);
  v128.store(BASE, x15, 240);
  v128.store(BASE, x16, 256);
  v128.store(BASE, x17, 272);
  v128.store(BASE, x18, 288);
  v128.store(BASE, x19, 304);
  return load<f32>(BASE);
}

/** Makes room for `bytes` and writes to every page of it, so that it is real memory. False where there is none. */
export function prepare(bytes: i32): bool {
  const pages = <i32>((BASE + <usize>bytes + 65535) >> 16);
  const missing = pages - memory.size();
  if (missing > 0 && memory.grow(missing) < 0) return false;
  memory.fill(BASE, 1, bytes);
  return true;
}

/** Sums `bytes` (a multiple of 128) of memory as i32, eight independent sums. */
export function readSum(bytes: i32): i32 {
  let s0 = i32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let s4 = s0;
  let s5 = s0;
  let s6 = s0;
  let s7 = s0;
  const end = BASE + <usize>bytes;
  for (let address = BASE; address < end; address += 128) {
    s0 = i32x4.add(s0, v128.load(address));
    s1 = i32x4.add(s1, v128.load(address, 16));
    s2 = i32x4.add(s2, v128.load(address, 32));
    s3 = i32x4.add(s3, v128.load(address, 48));
    s4 = i32x4.add(s4, v128.load(address, 64));
    s5 = i32x4.add(s5, v128.load(address, 80));
    s6 = i32x4.add(s6, v128.load(address, 96));
    s7 = i32x4.add(s7, v128.load(address, 112));
  }
  const low = i32x4.add(i32x4.add(s0, s1), i32x4.add(s2, s3));
  const high = i32x4.add(i32x4.add(s4, s5), i32x4.add(s6, s7));
  const sum = i32x4.add(low, high);
  return (
    i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3)
  );
}
