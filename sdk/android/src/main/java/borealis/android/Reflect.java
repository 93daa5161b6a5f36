package borealis.android;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;

/** Calls classes that may be on the class path or not. */
final class Reflect {
  private final ClassLoader loader;

  Reflect(ClassLoader loader) {
    this.loader = loader;
  }

  /** Hears the calls of an interface. */
  interface Calls {
    void called(String method, Object[] args) throws ReflectiveOperationException;
  }

  boolean has(String name) {
    try {
      find(name);
      return true;
    } catch (ClassNotFoundException | LinkageError absent) {
      return false;
    }
  }

  Class<?> find(String name) throws ClassNotFoundException {
    return Class.forName(name, true, loader);
  }

  /** The result of a static method, found by the types of its parameters: type, value, type, value … */
  Object onClass(String type, String method, Object... typesAndValues) throws ReflectiveOperationException {
    return invoke(find(type), null, method, typesAndValues);
  }

  /** The result of a method of an object, which is called as one of this type. */
  Object on(String type, Object target, String method, Object... typesAndValues) throws ReflectiveOperationException {
    return invoke(find(type), target, method, typesAndValues);
  }

  private static Object invoke(Class<?> type, Object target, String method, Object[] typesAndValues) throws ReflectiveOperationException {
    Class<?>[] types = new Class<?>[typesAndValues.length / 2];
    Object[] values = new Object[types.length];
    for (int i = 0; i < types.length; i++) {
      types[i] = (Class<?>) typesAndValues[2 * i];
      values[i] = typesAndValues[2 * i + 1];
    }
    return type.getMethod(method, types).invoke(target, values);
  }

  boolean hasMethod(String type, String method, Class<?>... types) throws ClassNotFoundException {
    try {
      find(type).getMethod(method, types);
      return true;
    } catch (NoSuchMethodException absent) {
      return false;
    }
  }

  /** An object of an interface whose methods all give null, false or 0. */
  Object listener(final Class<?> type, final Calls to) {
    return Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, new InvocationHandler() {
      @Override
      public Object invoke(Object proxy, Method method, Object[] args) throws Throwable {
        if (method.getDeclaringClass() == Object.class) {
          switch (method.getName()) {
            case "equals":
              return proxy == args[0];
            case "hashCode":
              return System.identityHashCode(proxy);
            default:
              return type.getName();
          }
        }
        to.called(method.getName(), args == null ? new Object[0] : args);
        return nothing(method.getReturnType());
      }
    });
  }

  private static Object nothing(Class<?> type) {
    if (type == boolean.class) {
      return false;
    }
    return type.isPrimitive() && type != void.class ? (Object) 0 : null;
  }

  /** What a failed call has to say. */
  static String why(Throwable e) {
    Throwable cause = e instanceof InvocationTargetException && e.getCause() != null ? e.getCause() : e;
    return cause.toString();
  }
}
