//! PTX that no kernel may have: whose result depends on the card, on its mood, or on the order of things.

/// A kind of instruction that is forbidden.
type Rule = (&'static str, fn(&Instruction) -> bool);

/// An instruction: its name and what follows the name's dots.
struct Instruction<'a> {
    name: &'a str,
    modifiers: Vec<&'a str>,
}

impl Instruction<'_> {
    fn has(&self, modifier: &str) -> bool {
        self.modifiers.contains(&modifier)
    }

    fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name)
    }

    /// Whether it computes with floats of any kind.
    fn floats(&self) -> bool {
        const TYPES: [&str; 9] = ["f16", "f16x2", "bf16", "bf16x2", "tf32", "f32", "f32x2", "f64", "f8f6f4"];
        const SMALL: [&str; 5] = ["e4m3", "e5m2", "e2m1", "e2m3", "e3m2"];
        self.modifiers.iter().any(|modifier| {
            TYPES.contains(modifier)
                || SMALL.iter().any(|small| modifier.starts_with(small))
                || modifier.starts_with("kind::") && !modifier.ends_with("i8")
        })
    }
}

const RULES: [Rule; 8] = [
    ("an approximation", |i| i.has("approx")),
    ("denormals flushed to zero", |i| i.has("ftz")),
    ("a division that is not rounded right", |i| i.has("full")),
    ("saturation of what is not", |i| i.has("satfinite")),
    ("float addition in any order", |i| {
        let reduces = i.is(&["atom", "red", "multimem"]) || i.is(&["cp"]) && i.has("reduce");
        reduces && i.floats()
    }),
    ("floats on tensor cores", |i| i.is(&["mma", "wmma", "wgmma", "tcgen05"]) && i.floats()),
    ("a minimum or maximum of floats: signed zeros", |i| i.is(&["min", "max"]) && i.floats()),
    ("a transcendental function", |i| i.is(&["ex2", "lg2", "sin", "cos", "tanh", "rsqrt"])),
];

/// What is forbidden of some PTX: each line with what is wrong about it. `cu`: its source, which must write a fused
/// multiplication and addition itself where there is one.
pub fn forbidden(ptx: &str, cu: &str) -> Vec<String> {
    let mut found = Vec::new();
    let may_fuse = cu.contains("__fmaf_r") || cu.contains("__fma_r") || cu.contains("fma.r");
    for (number, line) in without_comments(ptx).lines().enumerate() {
        for instruction in instructions(line) {
            let mut wrong: Vec<&str> =
                RULES.iter().filter(|(_, breaks)| breaks(&instruction)).map(|(what, _)| *what).collect();
            if instruction.is(&["fma", "mad"]) && instruction.floats() && !may_fuse {
                wrong.push("a fused operation that the source does not write");
            }
            let number = number.saturating_add(1);
            found.extend(wrong.into_iter().map(|what| format!("line {number}: {what}: {}", line.trim())));
        }
    }
    found
}

/// The text with its comments as blanks.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('/') {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        let end = if from.starts_with("//") {
            from.find('\n').unwrap_or(from.len())
        } else if from.starts_with("/*") {
            from.find("*/").map_or(from.len(), |end| end.saturating_add(2))
        } else {
            kept.push('/');
            1
        };
        let (comment, after) = from.split_at(end);
        // Lines keep their numbers.
        kept.extend(comment.chars().filter(|c| *c == '\n'));
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// The instructions of a line, of which inline assembly may have several.
fn instructions(line: &str) -> impl Iterator<Item = Instruction<'_>> {
    line.split([';', '{', '}']).filter_map(|statement| {
        let mut words = statement.split_whitespace().skip_while(|word| word.starts_with('@') || word.ends_with(':'));
        let mut parts = words.next()?.split('.');
        let name = parts.next().filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))?;
        Some(Instruction { name, modifiers: parts.collect() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_kernels::executor::{cuda_sources, cuda_variants};

    #[test]
    fn each_kind_is_found() {
        let cases = [
            ("sqrt.approx.f32 %f1, %f2;", "an approximation"),
            ("@%p1 rcp.approx.ftz.f64 %fd1, %fd2;", "denormals flushed"),
            ("add.ftz.f32 %f1, %f2, %f3;", "denormals flushed"),
            ("div.full.f32 %f1, %f2, %f3;", "not rounded right"),
            ("mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.s8.s32 {%r1}, {%r2}, {%r3}, {%r4};", "saturation"),
            ("cvt.rn.satfinite.e4m3x2.f32 %rs1, %f1, %f2;", "saturation"),
            ("$L__BB0_1: atom.global.add.f32 %f1, [%rd1], %f2;", "in any order"),
            ("red.global.add.f64 [%rd1], %fd1;", "in any order"),
            ("@!%p2 red.relaxed.gpu.global.add.noftz.f16x2 [%rd1], %r1;", "in any order"),
            ("atom.global.v2.f32.add [%rd1], {%f1, %f2};", "in any order"),
            ("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%rd1], [%r1], %r2;", "in any order"),
            ("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1}, {%r1}, {%r2}, {%f2};", "tensor cores"),
            ("wgmma.mma_async.sync.aligned.m64n8k8.f32.tf32.tf32 {%f1}, %rd1, %rd2, p, 1, 1;", "tensor cores"),
            ("tcgen05.mma.cta_group::1.kind::f16 [%r1], %rd1, %rd2, %r2, p;", "tensor cores"),
            ("{ .reg .pred p; setp.ne.b32 p, %r1, 0; min.f32 %f1, %f2, %f3; }", "signed zeros"),
            ("ex2.f32 %f1, %f2;", "transcendental"),
            ("fma.rn.f32 %f1, %f2, %f3, %f4;", "does not write"),
            ("\tmad.rn.f64 %fd1, %fd2, %fd3, %fd4;", "does not write"),
        ];
        for (ptx, what) in cases {
            let found = forbidden(&format!("// a line before\n{ptx}\n"), "");
            assert!(found.iter().any(|line| line.starts_with("line 2: ") && line.contains(what)), "{ptx}: {found:?}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_not() {
        let fine = [
            "// sqrt.approx.f32 in a comment",
            "/* div.full.f32\n more */ add.s32 %r1, %r2, %r3;",
            ".file 1 \"approx.ftz.cu\"",
            ".visible .entry search_approx.full(",
            "atom.global.add.u32 %r1, [%rd1], 1;",
            "red.shared.max.s32 [%r1], %r2;",
            "add.rn.f32 %f1, %f2, %f3;",
            "div.rn.f32 %f1, %f2, %f3;",
            "mad.lo.s32 %r1, %r2, %r3, %r4;",
            "min.s32 %r1, %r2, %r3;",
            "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%r1}, {%r2}, {%r3}, {%r4};",
            "wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8 {%r1}, %rd1, %rd2, p;",
            "tcgen05.mma.cta_group::1.kind::i8 [%r1], %rd1, %rd2, %r2, p;",
            "st.global.f32 [%rd1], %f1;",
        ];
        for ptx in fine {
            assert_eq!(forbidden(ptx, ""), Vec::<String>::new(), "{ptx}");
        }
        assert!(forbidden("fma.rn.f32 %f1, %f2, %f3, %f4;", "x = __fmaf_rn(a, b, c);").is_empty());
    }

    #[test]
    fn the_committed_ptx_has_none() {
        for source in cuda_sources() {
            let variants = cuda_variants(source.kernel).iter().map(|variant| variant.ptx);
            for ptx in variants.chain([source.ptx]) {
                assert_eq!(forbidden(ptx, source.cu), Vec::<String>::new(), "{}", source.name);
            }
        }
    }
}
