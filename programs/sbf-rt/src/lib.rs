//! Runtime support for sBPF programs built with upstream LLVM.
//!
//! rustc 1.95 returns 128-bit integers from BPF functions through a hidden pointer, while LLVM 23's BPF
//! backend returns them in registers for its own library calls.  The functions here therefore use the
//! `unadjusted` ABI; `solana-compiler-builtins` (weak) supplies the rest (memcpy and friends, f64).
#![no_std]
// The ABI of LLVM's own library calls has no stable name.
#![cfg_attr(target_arch = "bpf", allow(internal_features), feature(abi_unadjusted))]

#[cfg(target_arch = "bpf")]
use solana_compiler_builtins as _;

#[inline(always)]
fn mul64(a: u64, b: u64) -> (u64, u64) {
    let (al, ah, bl, bh) = (a & 0xffff_ffff, a >> 32, b & 0xffff_ffff, b >> 32);
    let ll = al * bl;
    let lh = al * bh;
    let hl = ah * bl;
    let mid = (ll >> 32) + (lh & 0xffff_ffff) + (hl & 0xffff_ffff);
    let lo = (ll & 0xffff_ffff) | (mid << 32);
    let hi = ah * bh + (lh >> 32) + (hl >> 32) + (mid >> 32);
    (lo, hi)
}

#[inline(always)]
fn join(lo: u64, hi: u64) -> u128 {
    ((hi as u128) << 64) | lo as u128
}

#[inline(always)]
fn clz(x: u64) -> u32 {
    x.leading_zeros()
}

/// (hi:lo) / d with hi < d, one 64-bit quotient digit (Knuth's algorithm D on 32-bit halves)
fn div_2by1(hi: u64, lo: u64, d: u64) -> (u64, u64) {
    let s = clz(d);
    let d = d << s;
    let (d1, d0) = (d >> 32, d & 0xffff_ffff);
    let n32 = if s == 0 { hi } else { (hi << s) | (lo >> (64 - s)) };
    let n10 = lo << s;
    let (n1, n0) = (n10 >> 32, n10 & 0xffff_ffff);
    let mut q1 = n32 / d1;
    let mut r = n32 - q1 * d1;
    while q1 >> 32 != 0 || q1.wrapping_mul(d0) > ((r << 32) | n1) {
        q1 -= 1;
        r += d1;
        if r >> 32 != 0 {
            break;
        }
    }
    let n21 = (n32 << 32).wrapping_add(n1).wrapping_sub(q1.wrapping_mul(d));
    let mut q0 = n21 / d1;
    let mut r = n21 - q0 * d1;
    while q0 >> 32 != 0 || q0.wrapping_mul(d0) > ((r << 32) | n0) {
        q0 -= 1;
        r += d1;
        if r >> 32 != 0 {
            break;
        }
    }
    let rem = (n21 << 32).wrapping_add(n0).wrapping_sub(q0.wrapping_mul(d)) >> s;
    ((q1 << 32).wrapping_add(q0), rem)
}

/// quotient and remainder as (q_lo, q_hi, r_lo, r_hi)
fn divmod(nl: u64, nh: u64, dl: u64, dh: u64) -> (u64, u64, u64, u64) {
    if dh == 0 {
        if nh == 0 {
            return (nl / dl, 0, nl % dl, 0);
        }
        let (qh, r) = (nh / dl, nh % dl);
        let (ql, r) = div_2by1(r, nl, dl);
        return (ql, qh, r, 0);
    }
    if nh < dh || (nh == dh && nl < dl) {
        return (0, 0, nl, nh);
    }
    // dh != 0: the quotient has at most 64 bits
    let s = clz(dh);
    let d1 = if s == 0 { dh } else { (dh << s) | (dl >> (64 - s)) };
    let (n1h, n1l) = (nh >> 1, (nh << 63) | (nl >> 1));
    // quotient estimate by the classic shift: q = div(n >> 1, d << s) >> (63 - s), then correct
    let (est, _) = div_2by1(n1h, n1l, d1);
    let mut q = est >> (63 - s);
    if q != 0 {
        q -= 1;
    }
    let (pl, ph) = mul64(q, dl);
    let ph = ph.wrapping_add(q.wrapping_mul(dh));
    let (mut rl, b) = nl.overflowing_sub(pl);
    let mut rh = nh.wrapping_sub(ph).wrapping_sub(b as u64);
    while rh > dh || (rh == dh && rl >= dl) {
        q += 1;
        let (l, b) = rl.overflowing_sub(dl);
        rl = l;
        rh = rh.wrapping_sub(dh).wrapping_sub(b as u64);
    }
    (q, 0, rl, rh)
}

macro_rules! rt {
    ($(fn $name:ident($a:ident: $t:ty, $b:ident: $u:ty) -> $r:ty $body:block)*) => {$(
        #[cfg(target_arch = "bpf")]
        #[unsafe(no_mangle)]
        pub unsafe extern "unadjusted" fn $name($a: $t, $b: $u) -> $r $body
        #[cfg(not(target_arch = "bpf"))]
        pub fn $name($a: $t, $b: $u) -> $r $body
    )*};
}

#[inline(always)]
fn udm(n: u128, d: u128) -> (u128, u128) {
    let (a, b, c, e) = divmod(n as u64, (n >> 64) as u64, d as u64, (d >> 64) as u64);
    (join(a, b), join(c, e))
}

rt! {
    fn __multi3(a: i128, b: i128) -> i128 {
        let (al, ah, bl, bh) = (a as u64, (a >> 64) as u64, b as u64, (b >> 64) as u64);
        let (lo, hi) = mul64(al, bl);
        join(lo, hi.wrapping_add(ah.wrapping_mul(bl)).wrapping_add(al.wrapping_mul(bh))) as i128
    }
    fn __udivti3(n: u128, d: u128) -> u128 { udm(n, d).0 }
    fn __umodti3(n: u128, d: u128) -> u128 { udm(n, d).1 }
    fn __divti3(n: i128, d: i128) -> i128 {
        let q = udm(n.unsigned_abs(), d.unsigned_abs()).0 as i128;
        if (n < 0) != (d < 0) { q.wrapping_neg() } else { q }
    }
    fn __modti3(n: i128, d: i128) -> i128 {
        let r = udm(n.unsigned_abs(), d.unsigned_abs()).1 as i128;
        if n < 0 { r.wrapping_neg() } else { r }
    }
}

#[cfg(all(test, not(target_arch = "bpf")))]
mod tests {
    #[test]
    fn matches_native() {
        let mut s = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = || {
            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            s
        };
        for i in 0..2_000_000u32 {
            let mut a = ((next() as u128) << 64) | next() as u128;
            let mut b = ((next() as u128) << 64) | next() as u128;
            a >>= next() % 128;
            b >>= next() % 128;
            if i % 7 == 0 {
                a = !a;
            }
            if i % 11 == 0 {
                b = !b;
            }
            if i % 13 == 0 {
                a = b.wrapping_mul(3).wrapping_sub(1);
            }
            let b = b.max(1);
            assert_eq!(super::__multi3(a as i128, b as i128), (a as i128).wrapping_mul(b as i128));
            assert_eq!(super::__udivti3(a, b), a / b, "{a} / {b}");
            assert_eq!(super::__umodti3(a, b), a % b);
            assert_eq!(super::__divti3(a as i128, b as i128), (a as i128).wrapping_div(b as i128));
            assert_eq!(super::__modti3(a as i128, b as i128), (a as i128).wrapping_rem(b as i128));
        }
    }
}

/// sBPF V3 has no signed division: the link step rewrites LLVM's `sdiv`/`srem` into calls of these two.
#[unsafe(no_mangle)]
pub extern "C" fn __sbf_sdiv64(n: i64, d: i64) -> i64 {
    let q = (n.unsigned_abs() / d.unsigned_abs()) as i64;
    if (n ^ d) < 0 { q.wrapping_neg() } else { q }
}

#[unsafe(no_mangle)]
pub extern "C" fn __sbf_srem64(n: i64, d: i64) -> i64 {
    let r = (n.unsigned_abs() % d.unsigned_abs()) as i64;
    if n < 0 { r.wrapping_neg() } else { r }
}
