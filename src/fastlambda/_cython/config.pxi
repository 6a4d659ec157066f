# ---- configuration ------------------------------------------------------------------------------------------------

cdef class Config:
    def __init__(self, **given):
        cdef int i
        for i in range(N_SETTINGS):
            name = PyUnicode_InternFromString(SETTINGS[i].name)
            value = default = default_of(&SETTINGS[i])
            if name in given:
                value = given.pop(name)
                if not isinstance(value, str if default is None else type(default)) and value is not default:
                    raise TypeError("Config(%s=...) cannot be %r" % (name, value))
            setattr(self, name, value)
        if given:
            raise TypeError("Config() got unexpected keyword arguments: %r" % given)

    @staticmethod
    @cython.always_allow_keywords(True)
    def from_env(environ=None):
        cdef int i
        cdef str how
        cdef Config config = Config.__new__(Config)
        get = (_environ if environ is None else environ).get
        for i in range(N_SETTINGS):
            value = value_of(&SETTINGS[i], get(SETTINGS[i].variable.decode()))
            setattr(config, PyUnicode_InternFromString(SETTINGS[i].name), value)
        if not config.region:
            config.region = get("AWS_DEFAULT_REGION")
        if not get("FASTLAMBDA_INIT_LIMIT_MS"):
            # Lambda's own limits: 10 s on demand, 130 s where the time is bought beforehand.
            how = config.initialization_type
            config.init_limit_ms = 10_000 if how is None or how == "on-demand" else 130_000
        return config

    def __repr__(self):
        return "Config(function_name=%r, runtime_api=%r)" % (self.function_name, self.runtime_api)


cdef object default_of(const setting *s):
    if s.kind == SETTING_TEXT:
        return None
    return s.value != 0 if s.kind == SETTING_SWITCH else s.value


cdef object value_of(const setting *s, str text):
    """The value of a setting whose variable holds `text`; None: there is none."""
    if s.kind == SETTING_TEXT:
        return text
    if s.kind == SETTING_SWITCH:
        return text != "0" if s.value else text == "1"
    if not text:
        return s.value
    if len(text) > 9 or not text.isascii() or not text.isdecimal():
        misused(b"number", (s.variable.decode(), text[:64]))
    return int(text)
