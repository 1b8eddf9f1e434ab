// Which keys a row of queries sees. A row is a query of one of the heads that share a head of keys: row r is query
// r / group of head r % group. Expects in `args` queries, keys, group, rows, offset, window, globalTokens and causal,
// and `bounds: array<i32>`. It is what attention-bounds.wgsl makes, `[batch, queries, 8]`, then `[batch, keys]` of
// segments; or with PLACED the position of each row's first query, `[batch]`.

/// Whether `bounds` holds what each query sees. Otherwise it follows from `args`.
override BOUNDED: bool = false;
/// Whether it holds the positions of first queries, in place of `args.offset`.
override PLACED: bool = false;
/// Whether it holds segments as well.
override SEGMENTED: bool = false;

/// A row sees the keys from `begin` to `end`, and from `first` to `globalEnd`, if their segment is its own.
struct Bounds {
  begin: i32,
  end: i32,
  first: i32,
  globalEnd: i32,
  segment: i32,
}

const FAR = 1073741824; // 2^30, beyond any position

/// The position of a query among the keys.
fn positionOf(b: u32, query: u32) -> i32 {
  if (BOUNDED) {
    return bounds[(b * args.queries + query) * 8u + 5u];
  }
  if (PLACED) {
    return clamp(bounds[b], -FAR, FAR - 1) + i32(query);
  }
  return args.offset + i32(query);
}

fn boundsOf(b: u32, row: u32) -> Bounds {
  if (row >= args.rows) {
    return Bounds(FAR, -1, FAR, -1, 0);
  }
  let query = row / args.group;
  if (BOUNDED) {
    let at = (b * args.queries + query) * 8u;
    return Bounds(bounds[at], bounds[at + 1u], bounds[at + 2u], bounds[at + 3u], bounds[at + 4u]);
  }
  return plainBounds(positionOf(b, query), 0, i32(args.keys));
}

/// The bounds of a query at a position, where its sequence begins at `first` and there are `count` keys.
fn plainBounds(position: i32, first: i32, count: i32) -> Bounds {
  var end = count - 1;
  if (args.causal != 0u) {
    end = min(end, position);
  }
  var globalEnd = -1;
  if (args.globalTokens > 0) {
    globalEnd = min(end, first + args.globalTokens - 1);
  }
  var begin = first;
  if (args.window > 0) {
    begin = max(first, position - args.window + 1);
    if (args.causal == 0u) {
      end = min(end, position + (args.window - 1));
    }
  }
  return Bounds(begin, end, first, globalEnd, 0);
}

fn sees(own: Bounds, b: u32, key: u32) -> bool {
  let j = i32(key);
  let seen = (j >= own.begin && j <= own.end) || (j >= own.first && j <= own.globalEnd);
  if (SEGMENTED) {
    return seen && segmentOf(b, key) == own.segment;
  }
  return seen;
}

/// Whether a row sees four neighbouring keys.
fn seesFour(own: Bounds, b: u32, key: u32) -> vec4<bool> {
  let j = vec4i(i32(key)) + vec4i(0, 1, 2, 3);
  let seen = ((j >= vec4i(own.begin)) & (j <= vec4i(own.end)))
    | ((j >= vec4i(own.first)) & (j <= vec4i(own.globalEnd)));
  if (SEGMENTED) {
    let segments = vec4i(segmentOf(b, key), segmentOf(b, key + 1u), segmentOf(b, key + 2u), segmentOf(b, key + 3u));
    return seen & (segments == vec4i(own.segment));
  }
  return seen;
}

/// The segment of a key, which lies behind the bounds of all queries.
fn segmentOf(b: u32, key: u32) -> i32 {
  return bounds[args.batch * args.queries * 8u + b * args.keys + min(key, args.keys - 1u)];
}

/// The bounds of four rows.
struct FourBounds {
  begin: vec4i,
  end: vec4i,
  first: vec4i,
  globalEnd: vec4i,
  segment: vec4i,
}

fn boundsOfFour(b: u32, row: u32) -> FourBounds {
  let r0 = boundsOf(b, row);
  let r1 = boundsOf(b, row + 1u);
  let r2 = boundsOf(b, row + 2u);
  let r3 = boundsOf(b, row + 3u);
  return FourBounds(
    vec4i(r0.begin, r1.begin, r2.begin, r3.begin),
    vec4i(r0.end, r1.end, r2.end, r3.end),
    vec4i(r0.first, r1.first, r2.first, r3.first),
    vec4i(r0.globalEnd, r1.globalEnd, r2.globalEnd, r3.globalEnd),
    vec4i(r0.segment, r1.segment, r2.segment, r3.segment),
  );
}

fn fourSee(own: FourBounds, b: u32, key: u32) -> vec4<bool> {
  let j = vec4i(i32(key));
  let seen = ((j >= own.begin) & (j <= own.end)) | ((j >= own.first) & (j <= own.globalEnd));
  if (SEGMENTED) {
    return seen & (vec4i(segmentOf(b, key)) == own.segment);
  }
  return seen;
}

/// The end of the keys that queries up to this one see.
fn endFor(b: u32, query: u32) -> u32 {
  if (BOUNDED) {
    // The sixth number is the end without a window.
    return u32(bounds[(b * args.queries + query) * 8u + 6u]);
  }
  let position = positionOf(b, query);
  return u32(clamp(select(i32(args.keys), position + 1, args.causal != 0u), 0, i32(args.keys)));
}

/// The first key that queries from this one on see; 0 where some tokens are always visible.
fn beginFor(b: u32, query: u32) -> u32 {
  if (args.window <= 0 || args.globalTokens > 0) {
    return 0u;
  }
  return u32(max(positionOf(b, query) - args.window + 1, 0));
}
