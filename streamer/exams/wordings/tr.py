"""Turkish."""

from __future__ import annotations

from streamer.exams.wordings.wording import Wording

TR = Wording(
    name="Türkçe",
    text="""\
Ne oluyor: {exam} sınavı boyunca, bu sayfada başladığınız andan sayfadan ayrılana ya da sınav \
bitene kadar mikrofonunuz dinlenir. Sunucu, sesi saniyede birkaç kez ses izinizle karşılaştırır.
Ne saklanır: ses iziniz, yani sesinizden hesaplanan ve şifreli saklanan bir sayı listesi. Bir de \
kayıt: hangi sesin ne zaman konuştuğu, sunucunun ne kadar emin olduğu ve ses kalitesinin nasıl \
olduğu. {sound}
Neden: sınavı denetleyenler konuşanın siz olup olmadığınızı görebilsin diye. Başka hiçbir şey için \
kullanılmaz. Duygular incelenmez.
Kim karar verir: insanlar. Sunucu yalnızca birinin bakması gereken yerleri işaretler. Onlara neyin \
işaretlendiğini sorabilir ve buna yanıt verebilirsiniz.
Seçiminiz: hayır diyebilir ve sınav görevlilerinden başka bir yol isteyebilirsiniz. Rızanızı \
istediğiniz zaman, buradan ya da onlara başvurarak geri alabilirsiniz: ses iziniz o anda silinir \
ve artık hiçbir şey karşılaştırılmaz.""",
    quoted="“{}”",
    no_sound="Sesin kendisi saklanmaz.",
    if_allowed="Ayrıca izin vermediğiniz sürece sesin kendisi saklanmaz.",
    clips="İşaretlenen yerlerin çevresinde 10 saniyelik ses şifreli olarak saklanır ve sınavı"
    " denetleyenler bunu dinleyebilir. Yalnızca bu izni istediğiniz zaman, buradan ya da sınav"
    " görevlilerine başvurarak geri alabilirsiniz: ses o anda silinir ve sınav sürer.",
    voiceprint="Ses izinizin saklanma süresi",
    record="Sınav kaydının saklanma süresi",
    sound="İşaretlenen yerlerdeki sesin saklanma süresi",
    until_withdrawn="siz rızanızı geri alana ya da sınav görevlileri silene kadar",
    until_deleted="sınav görevlileri silene kadar",
    with_record="sınav kaydı kadar, en fazla siz rızanızı geri alana kadar",
    unused="kullanılmadan {days} geçene kadar",
    both="{term}, en fazla {unused}",
    day="{} gün",
    days="{} gün",
)
