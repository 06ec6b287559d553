//! Repairs in an LLVM module what upstream LLVM cannot do for sBPF V3. Works on the module's text.
//!
//! - `sdiv` and `srem` up to 64 bits become calls of `__sbf_sdiv64` and `__sbf_srem64` (crate `sbf-rt`): sBPF V3 has no
//!   signed division.
//! - Library functions that return an `f32` get a wrapper that returns a zero-extended `i64`: LLVM assumes that the upper
//!   half of a soft-float call's 32-bit result is zero, which the functions in compiler_builtins do not guarantee.

use std::collections::BTreeMap;

/// Library functions that return an `f32`.
pub const SINGLE: &str = "__addsf3 __subsf3 __mulsf3 __divsf3 __negsf2 __floatsisf __floatdisf __floattisf __floatunsisf \
__floatundisf __floatuntisf __truncdfsf2 __powisf2 fmaf fminf fmaxf fminimumf fmaximumf floorf ceilf truncf rintf roundf \
roundevenf sqrtf fmodf cbrtf fdimf ldexpf scalbnf";
/// Other library functions that code generation may call after the module was optimised.
pub const OTHER: &str = "__eqsf2 __nesf2 __ltsf2 __lesf2 __gtsf2 __gesf2 __unordsf2 __fixsfsi __fixsfdi __fixsfti \
__fixunssfsi __fixunssfdi __fixunssfti __extendsfdf2 __eqdf2 __nedf2 __ltdf2 __ledf2 __gtdf2 __gedf2 __unorddf2 __fixdfsi \
__fixdfdi __fixunsdfsi __fixunsdfdi __floatsidf __floatdidf __floatunsidf __floatundidf __powidf2 fma fmin fmax fminimum \
fmaximum floor ceil trunc rint round roundeven sqrt fmod cbrt fdim ldexp scalbn __sbf_sdiv64 __sbf_srem64";

/// The repaired module.
pub fn repair(module: &str) -> String {
    let mut out = String::with_capacity(module.len());
    let mut wrapped = BTreeMap::new();
    for (number, line) in module.lines().enumerate() {
        if let Some(division) = Division::parse(line) {
            division.write(number, &mut out);
            continue;
        }
        if let Some((name, parameters)) = single_definition(line) {
            wrapped.insert(name, parameters);
        }
        out.push_str(line);
        out.push('\n');
    }
    if wrapped.is_empty() {
        return out;
    }
    let mut out = rename(&out, |name| wrapped.contains_key(name));
    for (name, types) in &wrapped {
        let formal = types.iter().enumerate().map(|(i, kind)| format!("{kind} %a{i}")).collect::<Vec<_>>().join(", ");
        out.push_str(&format!(
            "\ndefine i64 @{name}({formal}) {{\n  %r = call float @{name}.impl({formal})\n  %i = bitcast float %r to i32\n  \
             %z = zext i32 %i to i64\n  ret i64 %z\n}}\n"
        ));
    }
    out
}

/// `%to = sdiv i32 %a, %b`
struct Division<'a> {
    indent: &'a str,
    to: &'a str,
    function: &'static str,
    bits: u32,
    a: &'a str,
    b: &'a str,
}

impl<'a> Division<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let text = line.trim_start();
        let indent = line.strip_suffix(text)?;
        let (to, text) = text.split_once(" = ")?;
        if !to.starts_with('%') {
            return None;
        }
        let (function, text) = match text.split_once(' ')? {
            ("sdiv", rest) => ("__sbf_sdiv64", rest.strip_prefix("exact ").unwrap_or(rest)),
            ("srem", rest) => ("__sbf_srem64", rest),
            _ => return None,
        };
        let (kind, text) = text.split_once(' ')?;
        let bits = kind.strip_prefix('i')?.parse().ok().filter(|bits| *bits <= 64)?;
        let (a, text) = text.split_once(", ")?;
        // What follows the second operand is metadata.
        let b = text.split([',', ' ']).next()?;
        Some(Self { indent, to, function, bits, a, b })
    }

    fn write(&self, number: usize, out: &mut String) {
        let Self { indent, to, function, bits, a, b } = self;
        if *bits == 64 {
            out.push_str(&format!("{indent}{to} = call i64 @{function}(i64 {a}, i64 {b})\n"));
            return;
        }
        let v = format!("%sbfdiv{number}");
        out.push_str(&format!(
            "{indent}{v}.a = sext i{bits} {a} to i64\n{indent}{v}.b = sext i{bits} {b} to i64\n\
             {indent}{v}.r = call i64 @{function}(i64 {v}.a, i64 {v}.b)\n{indent}{to} = trunc i64 {v}.r to i{bits}\n"
        ));
    }
}

/// Name and parameter types, where the line begins the definition of a function in [`SINGLE`].
fn single_definition(line: &str) -> Option<(&str, Vec<&str>)> {
    let (head, rest) = line.strip_prefix("define ")?.split_once("float @")?;
    if !(head.is_empty() || head.ends_with(' ')) {
        return None;
    }
    let (name, rest) = rest.split_once('(')?;
    if !SINGLE.split(' ').any(|known| known == name) {
        return None;
    }
    Some((name, parameter_types(rest)))
}

/// The first word of each parameter, up to the parenthesis that closes the list.
fn parameter_types(text: &str) -> Vec<&str> {
    let mut types = Vec::new();
    let mut depth = 0_u32;
    let mut start = 0;
    let mut push = |parameter: &'_ str, range: (usize, usize)| {
        if !parameter.trim().is_empty() {
            types.push(range);
        }
    };
    for (at, c) in text.char_indices() {
        match c {
            ')' if depth == 0 => {
                push(&text[start..at], (start, at));
                break;
            }
            '(' | '[' | '{' => depth = depth.saturating_add(1),
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                push(&text[start..at], (start, at));
                start = at.saturating_add(1);
            }
            _ => {}
        }
    }
    types.into_iter().filter_map(|(from, to)| text.get(from..to)?.split_whitespace().next()).collect()
}

/// Appends `.impl` to each global whose whole name satisfies `is_wrapped`.
fn rename(text: &str, is_wrapped: impl Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('@') {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
        let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
        let (name, tail) = after.split_at(end);
        out.push_str(before);
        out.push('@');
        out.push_str(name);
        if is_wrapped(name) {
            out.push_str(".impl");
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_division_becomes_a_call() {
        assert_eq!(repair("  %3 = sdiv i64 %1, -7, !dbg !12\n"), "  %3 = call i64 @__sbf_sdiv64(i64 %1, i64 -7)\n");
        assert_eq!(
            repair("%q.i = srem i32 %\"a b\", %b\n"),
            "%sbfdiv0.a = sext i32 %\"a b\" to i64\n%sbfdiv0.b = sext i32 %b to i64\n\
             %sbfdiv0.r = call i64 @__sbf_srem64(i64 %sbfdiv0.a, i64 %sbfdiv0.b)\n%q.i = trunc i64 %sbfdiv0.r to i32\n"
        );
        assert!(repair("  %3 = sdiv exact i8 %1, %2").contains("sext i8 %1 to i64"));
    }

    #[test]
    fn other_lines_stay() {
        let module =
            "  %3 = udiv i64 %1, %2\n  %4 = sdiv i128 %1, %2\n  store i64 %3, ptr %p\ndefine float @mine(float %x) {\n";
        assert_eq!(repair(module), module);
    }

    #[test]
    fn single_precision_results_are_zero_extended() {
        let module = "define hidden noundef float @__addsf3(float noundef %a, float %b) #0 {\n}\n\
                      declare float @__addsf3.other(float)\n  %r = call float @__addsf3(float %x, float %y)\n";
        let repaired = repair(module);
        assert!(repaired.contains("define hidden noundef float @__addsf3.impl(float noundef %a, float %b) #0 {"));
        assert!(repaired.contains("@__addsf3.other(float)"));
        assert!(repaired.contains("%r = call float @__addsf3.impl(float %x, float %y)"));
        assert!(repaired.contains("define i64 @__addsf3(float %a0, float %a1) {"));
    }

    #[test]
    fn parameters_are_split_at_their_own_commas() {
        assert_eq!(parameter_types("ptr sret({ i64, i64 }) %r, [2 x i64] %v) #1 {"), ["ptr", "[2"]);
        assert!(parameter_types(") {").is_empty());
    }
}
