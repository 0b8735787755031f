"""Words that passwords are most often made of: the heads of published lists, Chinese ones too, and this house's own words.

All in small letters and digits. A password that is one of these after its decoration is taken off (capitals, signs,
digits at the end, 0 for o and the like) is refused.
"""

_LISTED = """
    000000 00000000 0000000000 1111111111 111111 11111111 112233 1122334455 11223344 123123 123123123 1231231234 123321
    123321123 1234 12345 123456 1234567 12345678 123456789 1234567890 12345678910 123456abc 123456aa 1234567890abc
    1234abcd 1234qwer 123abc 123456a 123456789a 123654 123654789 123698745 123qwe 123qweasd 123qweasdzxc 12qwaszx 131313
    1314520 13145200 1314521 131421 147258 147258369 147852 147852369 159357 159753 159951 168168 168888 1q2w3e 1q2w3e4r
    1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc 1qazxsw2 1qaz1qaz 201314 20131452 222222 222333 23456789 258369 258456
    303030 314159 321321 321654 333333 369258147 4444444 444444 456123 456789 456852 5201314 52013140 5201314520 520520
    520520520 520123 521521 521125 52101314 555555 5555555 55555555 584131421 5841314520 584520 654321 666666 66666666
    6666666666 696969 741852 741852963 753951 75395128 777777 7777777 77777777 789456 789456123 7894561230 789789 8675309
    87654321 888888 88888888 8888888888 963852 963852741 987654 98765432 987654321 9876543210 999999 99999999
    a123456 a12345678 a123456789 a1234567890 a1b2c3 a1b2c3d4 a1b2c3d4e5 aa123456 aa123456789 aaa111 aaa123 aaaaaa aaaaaaaa
    abc123 abc123456 abc12345 abcabc abcd1234 abcd123456 abcdef abcdefg abcdefgh access adidas admin admin123 admin1234
    admin888 administrator aibaobao aini1314 aini520 airport anhui anquan anyjian asd123 asd123456 asdasd asdasdasd asdf
    asdf1234 asdfasdf asdfgh asdfghjk asdfghjkl asdqwe123 ashley azerty baby bailey baobao baobei baseball basketball
    batman beijing beijing2008 benfica buster changeme changeit charlie cheese chelsea china chinachina chocolate chongqing
    computer cookie dahai dalian daniel default dongfang donald dragon dubsmash ewq321 facebook family fengfeng ferrari
    firefox flower football forever freedom friends fuckyou ganbei gaoxing george geoapp gfhjkm ginger gongan gongsi google
    guangzhou guest guizhou guoqing haha hahaha hahahaha hangzhou hannah hao123 haohao harley hebei hello hello123
    helloworld henan hockey hongkong huang huawei huihui hunter huo119 iloveu iloveyou iloveyou1314 iloveyou520 imissyou
    internet jasmine jennifer jessica jiajia jiayou jinshan jordan jordan23 joshua justin kaixin killer kissme klaster
    kobe24 letmein letmein1 liang lijun liverpool liwei loginlogin login love love1314 lovelove loveme loveyou lucky
    maggie mama manager marina master matrix matthew michael michelle mima mima123 mimamima minecraft monkey monster
    mudanjiang mustang mynoob naruto nicole nihao nihao123 nihaoma nihaonihao ninja nothing number1 oracle p@ssw0rd pass
    pass1234 passw0rd password password1 password12 password123 password1234 patrick peanut pepper phoenix picture pingan
    pokemon pokemon1 postgres princess private public purple q123456 q123456789 q1w2e3 q1w2e3r4 q1w2e3r4t5 qaz123 qazwsx
    qazwsxedc qazwsx123 qaz2wsx qazxsw qianqian qingdao qq123456 qq123123 qq5201314 qqq111 qqqqqq qwaszx qwe123 qwe123456
    qwe123qwe qweasd qweasd123 qweasdzxc qwer1234 qwer123456 qwerqwer qwert qwert12345 qwerty qwerty1 qwerty123
    qwerty12345 qwertyu qwertyui qwertyuiop qwqwqw rabbit ranger root root123 rootroot samantha samsung scooter secret
    security server shadow shanghai shenzhen sichuan soccer sophie spiderman starwars steelers success summer sunshine
    superman supervisor system taobao taiwan temp test test123 test1234 testing thomas tianjin tianya tiantian tigger
    tinkle tongtong trustno1 unknown user victoria w123456 w123456789 wang123 wangjing wangwei wangyang welcome welcome1
    welcome123 weixin whatever winner winter woaini woaini123 woaini1314 woaini520 woaini521 woaini5201314 woaiwojia
    woaizhongguo woaiziji wocao wodeai wodemima woshishui wudi wuhan www123 xiamen xian xiaofang xiaofang119 xiaoming
    xiaoxiao xiexie xingfu x123456 xxxxxx yangyang yanjing yingji yingji119 yuanyuan z123456 z123456789 zaq12wsx zaq1zaq1
    zaq1xsw2 zhang zhang123 zhangjie zhangwei zhejiang zhongguo zhonghua zhimakaimen zhuzhu zxc123 zxc123456 zxcasdqwe
    zxcasdqwe123 zxcvb zxcvbn zxcvbnm zxcvbnm123 zzz111 zzzzzz
"""

COMMON = frozenset(_LISTED.split())
