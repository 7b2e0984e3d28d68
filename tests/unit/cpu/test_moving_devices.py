# SPDX-License-Identifier: BSD-2-Clause
"""Registers and memory of devices that come, go and move while the guest runs."""

from __future__ import annotations

import gc
import mmap
import time
import weakref

import pytest
from support.guest import Guest

from manager.bus.record import to_plain

HERE, THERE = 0xE000_0000, 0xE010_0040
SECOND = 0xE020_0000
HOME = 1 << 51
VIDEO = 0x10000
"""Bytes of memory of the device."""
MOVE = 0x10
"""A write to this port moves the device: the value counts in the test's list of places."""
READ_BOTH = f"""
    mov ebx, {HERE}
    mov eax, [rbx]
    out 0xe9, eax
    mov ebx, {THERE}
    mov eax, [rbx]
    out 0xe9, eax
"""
DONE = "\n out 0xf4, al\n 9: jmp 9b"


def move(place: int) -> str:
    return f"\n mov al, {place}\n out {MOVE}, al\n"


def registers(value: int, writes: list[int] | None = None) -> tuple[object, object]:
    def write(offset: int, size: int, data: int) -> None:
        if writes is not None:
            writes.append(data)

    return lambda offset, size: value + offset, write


def with_registers(source: str, places: list[int | None]) -> Guest:
    """A guest whose port MOVE puts 16 bytes of registers, which read as 7 + offset, elsewhere."""
    guest = Guest(source)
    at: list[int | None] = [None]

    def moved(_port: int, place: int) -> None:
        if (old := at[0]) is not None:
            guest.engine.unmap_mmio(old)
        if (new := places[place]) is not None:
            guest.engine.map_mmio(new, 16, *registers(7))  # type: ignore[arg-type]
        at[0] = new

    guest.on_write = moved
    return guest


def test_registers_answer_where_they_are_and_nowhere_else() -> None:
    source = READ_BOTH.join(["", move(0), move(1), move(2), DONE])
    guest = with_registers(source, [HERE, THERE, None])

    guest.run()

    ones = 0xFFFF_FFFF
    assert guest.said == [ones, ones, 7, ones, ones, 7, ones, ones]


def test_registers_of_sixteen_bytes_end_there() -> None:
    guest = with_registers(
        move(0) + f"mov ebx, {THERE}\n movzx eax, byte ptr [rbx + 15]\n out 0xe9, eax\n"
        "mov eax, [rbx + 16]\n out 0xe9, eax\n mov eax, [rbx - 4]\n out 0xe9, eax\n"
        "mov eax, [rbx + 14]\n out 0xe9, eax" + DONE,
        [THERE],
    )

    guest.run()

    # The last one is unaligned: two aligned accesses make it up.
    assert guest.said == [22, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_0000]


@pytest.mark.parametrize("size", [8, 16])
def test_wide_accesses_come_as_doublewords(size: int) -> None:
    load = "mov rax, [rbx]" if size == 8 else "movups xmm0, [rbx]\n movq rax, xmm0"
    store = "mov [rbx], rax" if size == 8 else "movups [rbx], xmm0"
    guest = Guest(
        f"mov rax, cr4\n or eax, 0x600\n mov cr4, rax\n mov ebx, {THERE}\n {load}\n {store}\n"
        "out 0xe9, eax\n shr rax, 32\n out 0xe9, eax" + DONE
    )
    writes: list[int] = []
    guest.engine.map_mmio(THERE, 16, *registers(7, writes))  # type: ignore[arg-type]

    guest.run()

    assert guest.said == [7, 11]
    assert writes == [7, 11, 15, 19][: size // 4]


def test_a_device_may_take_itself_away_and_come_back_while_it_is_written_to() -> None:
    guest = Guest(
        f"mov ebx, {HERE}\n mov [rbx], eax\n mov eax, [rbx]\n out 0xe9, eax\n"
        f"mov ebx, {THERE}\n mov eax, [rbx]\n out 0xe9, eax" + DONE
    )

    def leave(offset: int, size: int, value: int) -> None:
        guest.engine.unmap_mmio(HERE)
        guest.engine.map_mmio(THERE, 16, *registers(7))  # type: ignore[arg-type]
        gc.collect()

    guest.engine.map_mmio(HERE, 16, lambda offset, size: 0, leave)

    guest.run()

    assert guest.said == [0xFFFF_FFFF, 7]


@pytest.mark.parametrize(
    ("base", "length"),
    [(HERE + 8, 16), (HERE - 8, 16), (HERE - 8, 64), (HERE, 4), (HERE + 2, 4), (THERE, 6),
     (THERE, 0), ((1 << 64) - 16, 32)],
)  # fmt: skip
def test_places_that_overlap_or_make_no_sense_are_refused(base: int, length: int) -> None:
    guest = Guest("nop")
    guest.engine.map_mmio(HERE, 16, *registers(7))  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="no device can have"):
        guest.engine.map_mmio(base, length, *registers(8))  # type: ignore[arg-type]


def test_only_what_is_there_can_be_taken_away() -> None:
    guest = Guest("nop")
    guest.engine.map_mmio(HERE, 16, *registers(7))  # type: ignore[arg-type]

    for base in (HERE + 4, HERE - 4, 0):
        with pytest.raises(ValueError, match="no device begins at"):
            guest.engine.unmap_mmio(base)
    with pytest.raises(ValueError, match="no memory has its home"):
        guest.engine.place_ram(HOME, HERE)


def test_an_engine_lets_go_of_its_devices() -> None:
    class Device:
        def read(self, offset: int, size: int) -> int:
            return 0

        def write(self, offset: int, size: int, value: int) -> None: ...

    guest, devices = Guest("nop"), [Device() for _ in range(3)]
    gone = [weakref.ref(device) for device in devices]
    for n, device in enumerate(devices):
        guest.engine.map_mmio(HERE + 0x1000 * n, 16, device.read, device.write)
    guest.engine.unmap_mmio(HERE)
    del guest, devices, device

    gc.collect()

    assert [reference() for reference in gone] == [None, None, None]


def with_video(source: str, places: list[int | None], bits: int = 64) -> Guest:
    """A guest whose port MOVE puts 64 KiB of memory elsewhere."""
    guest = Guest(source, bits)
    guest.video = mmap.mmap(-1, VIDEO)  # type: ignore[attr-defined]
    guest.engine.map_ram(HOME, guest.video, 0, VIDEO)  # type: ignore[attr-defined]
    guest.on_write = lambda port, place: guest.engine.place_ram(HOME, places[place])
    return guest


@pytest.mark.parametrize("bits", [32, 64])
def test_memory_keeps_its_content_wherever_it_moves(bits: int) -> None:
    say = READ_BOTH if bits == 64 else READ_BOTH.replace("rbx", "ebx")
    to = f"mov ebx, {HERE}\n mov dword ptr [{'rbx' if bits == 64 else 'ebx'}], 5\n"
    source = say.join(["", move(0) + to, move(1), move(2), move(0), DONE])
    guest = with_video(source, [HERE, 0xE010_0000, None], bits)
    guest.video[0x40:0x44] = b"\x09\0\0\0"  # type: ignore[attr-defined]

    guest.run()

    ones = 0xFFFF_FFFF
    assert guest.said == [ones, ones, 5, ones, ones, 9, ones, ones, 5, ones]
    assert guest.video[:4] == b"\x05\0\0\0"  # type: ignore[attr-defined]


def test_ram_comes_before_memory_of_a_device() -> None:
    read = "mov eax, [0x200000]\n out 0xe9, eax\n"
    guest = with_video("mov dword ptr [0x200000], 1\n" + move(0) + read + DONE, [0x200000])

    guest.run()

    assert guest.said == [1]
    assert not any(guest.video[:])  # type: ignore[attr-defined]


RUN_FROM_VIDEO = f"""
    mov rsp, 0x107000
    mov ebx, {HERE}
    mov dword ptr [rbx], 0x00c301b0     # mov al, 1; ret
    mov ecx, 50
1:  call rbx
    dec ecx
    jnz 1b
    movzx eax, al
    out 0xe9, eax
    mov byte ptr [rbx + 1], 2
    call rbx
    movzx eax, al
    out 0xe9, eax
"""


def test_code_runs_from_memory_of_a_device_and_may_be_changed_there() -> None:
    guest = with_video(move(0) + RUN_FROM_VIDEO + DONE, [HERE])

    guest.run()

    assert guest.said == [1, 2]


def test_code_that_moves_away_under_itself_is_gone_at_the_next_jump() -> None:
    # Two copies that differ; the loop in the first one moves the second to its place.
    loop = bytes.fromhex(
        "fec0"  # again: inc al
        "e610"  #        out 0x10, al
        "eb00"  #        jmp next
        "e6e9"  # next:  out 0xe9, al
        "ebf6"  #        jmp again
    )
    leave = bytes.fromhex("90909090 9090 e6f4 ebfe")  # out 0xf4, al; jmp $
    source = f"mov ebx, {HERE}\n mov al, 0\n out {MOVE}, al\n jmp rbx"
    ends = []
    for slice_ in (None, 100, 7):
        guest = Guest(source)
        video = mmap.mmap(-1, VIDEO)
        video[: len(loop)] = loop
        video[0x1000 : 0x1000 + len(leave)] = leave
        guest.engine.map_ram(HOME, video, 0, VIDEO)
        guest.on_write = lambda port, place, engine=guest.engine: engine.place_ram(
            HOME, HERE if place < 5 else HERE - 0x1000
        )
        guest.run(slice_=slice_)
        assert guest.done
        ends.append((guest.said, guest.engine.now(), to_plain(guest.cpu.read_state())))

    assert ends[0][0] == [1, 2, 3, 4]
    assert ends[1:] == ends[:1] * 2


def test_what_the_host_writes_into_code_of_a_device_is_seen() -> None:
    guest = with_video(RUN_FROM_VIDEO + "\n out 0x11, al\n call rbx\n out 0xe9, eax" + DONE, [])
    video = guest.video  # type: ignore[attr-defined]
    guest.engine.place_ram(HOME, HERE)

    def changed(_port: int, _value: int) -> None:
        video[1] = 3
        guest.engine.invalidate(HERE, HERE + 16)

    guest.on_write = changed

    guest.run()

    assert guest.said == [1, 2, 3]


def page(number: int, offset: int = 0x40) -> str:
    return f"mov ebx, {HERE + 0x1000 * number + offset}\n"


@pytest.mark.parametrize("bits", [32, 64])
def test_pages_that_the_guest_stores_to_are_known(bits: int) -> None:
    bas = "ebx" if bits == 32 else "rbx"
    store, load = f"mov dword ptr [{bas}], 1\n", f"mov eax, [{bas}]\n"
    look = "out 0x11, al\n"
    guest = with_video(
        move(0) + page(1) + store + page(2) + load + page(15) + store + store + look
        + look + page(1) + store + page(2) + store + look
        + page(2) + load + look + DONE,
        [HERE], bits,
    )  # fmt: skip
    found: list[list[int]] = []

    def asked(port: int, place: int) -> None:
        if port == MOVE:
            guest.engine.place_ram(HOME, HERE)
            return
        touched = guest.engine.touched(HOME)
        found.append([number for number, stored in enumerate(touched) if stored])

    guest.on_write = asked

    guest.run()

    assert found == [[1, 15], [], [1, 2], []]


def test_pages_that_code_of_a_device_stores_to_itself_are_known() -> None:
    guest = with_video(move(0) + RUN_FROM_VIDEO + DONE, [HERE])

    guest.run()

    assert guest.said == [1, 2]
    assert guest.engine.touched(HOME) == b"\1" + bytes(15)


PART = 0x3000
"""Where in its memory the part begins that has a second place."""


def with_part(source: str, places: list[int | None]) -> Guest:
    """A guest whose memory of a device is at HERE; MOVE puts a page of it to a second place."""
    guest = with_video(source, [])
    guest.engine.place_ram(HOME, HERE)
    guest.on_write = lambda port, n: guest.engine.place_part(HOME, PART, 0x1000, places[n])
    return guest


def test_a_part_of_a_device_s_memory_has_a_second_place() -> None:
    say = f"mov ebx, {SECOND}\n mov eax, [rbx + 8]\n out 0xe9, eax\n"
    store = f"mov ebx, {HERE + PART}\n mov dword ptr [rbx + 8], 5\n"
    back = f"mov ebx, {SECOND}\n mov dword ptr [rbx + 8], 6\n mov ebx, {HERE + PART}\n"
    back += "mov eax, [rbx + 8]\n out 0xe9, eax\n"
    source = say + move(0) + store + say + back + move(1) + say + DONE
    guest = with_part(source, [SECOND, None])

    guest.run()

    ones = 0xFFFF_FFFF
    assert guest.said == [ones, 5, 6, ones]
    assert guest.video[PART + 8] == 6  # type: ignore[attr-defined]


def test_stores_at_the_second_place_are_known() -> None:
    store = f"mov ebx, {SECOND}\n mov dword ptr [rbx], 1\n"
    guest = with_part(move(0) + store + DONE, [SECOND])

    guest.run()

    touched = guest.engine.touched(HOME)
    assert [number for number, stored in enumerate(touched) if stored] == [PART >> 12]


def test_code_at_one_place_may_be_changed_at_the_other() -> None:
    source = RUN_FROM_VIDEO.replace(str(HERE), str(SECOND)).replace(
        "mov byte ptr [rbx + 1], 2", f"mov edx, {HERE + PART}\n mov byte ptr [rdx + 1], 2"
    )
    guest = with_part(move(0) + source + DONE, [SECOND])

    guest.run()

    assert guest.said == [1, 2]


@pytest.mark.parametrize("part", [(0x800, 0x1000), (0, 0x800), (0, 0), (VIDEO, 0x1000)])
def test_a_part_is_pages_of_the_memory(part: tuple[int, int]) -> None:
    guest = with_part("nop", [])

    with pytest.raises(ValueError, match="a part is whole pages"):
        guest.engine.place_part(HOME, *part, SECOND)
    with pytest.raises(ValueError, match="a part is whole pages"):
        guest.engine.place_part(0, 0, 0x1000, SECOND)


def test_many_stores_to_memory_of_a_device_cost_no_more_than_to_ram() -> None:
    loop = "mov ecx, 1000000\n 1: mov [rbx], eax\n dec ecx\n jnz 1b\n"

    def cost(base: int) -> float:
        guest = with_video(move(0) + f"mov ebx, {base}\n" + loop + DONE, [HERE])
        begun = time.process_time()
        guest.run(limit=1_000_000_000)
        assert guest.done
        return time.process_time() - begun

    assert min(cost(HERE) for _ in range(3)) < 3 * min(cost(0x200000) for _ in range(3))


def test_ram_is_not_watched_for_the_host() -> None:
    guest = Guest("nop")

    with pytest.raises(ValueError, match="only memory of devices is watched"):
        guest.engine.touched(0)
    with pytest.raises(ValueError, match="no memory has its home"):
        guest.engine.touched(HOME)
